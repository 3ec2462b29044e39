/** What to make of a path that is not followed by name: a known file under a new name, a copy of one, or a new file. */

import type { Found } from "../discovery/found.ts";
import type { FollowedFile } from "../files/file.ts";
import type { Copy } from "../files/registry.ts";
import type { Stat } from "../fs/fs.ts";
import {
  directoryOf,
  isLogName,
  isNamedFor,
  looksCompressed,
  newestFirst,
  rootName,
  tryStat,
} from "../fs/rotated-names.ts";
import { sameFile } from "../identity/identity.ts";
import { PlainSource } from "../source/source.ts";
import { covers, isPrefix, isProvenPrefix, isUnknown, matches } from "./compare.ts";
import type { Context } from "./context.ts";
import { adopt, follow, followFifo } from "./follow.ts";
import { clockSlack, generations, later, predecessor } from "./generations.ts";
import { resembling } from "./resemblance.ts";
import { holderOf, holds } from "./same-file.ts";

/** A file that appears under the path of one that is gone is the same only if it agrees for at least so many bytes. */
const sameContentBytes = 4096;
/** A path that grew by less between two looks is no copy in the making. */
const copiedBytes = 1 << 20;
/** Paths without a file that are looked after: those that lost it last. */
const missingPaths = 100;

export class Arrivals {
  readonly #context: Context;
  /** Set during an input's very first scan: `--from` applies. */
  firstScan = false;
  /** Set during the first scan of a run. */
  starting = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** True if the path changed what is followed. */
  found({ path, stat, named }: Found): boolean {
    const { registry, options, awaited } = this.#context;
    if (awaited.has(path)) return false;
    if (stat.kind === "fifo") return named && followFifo(this.#context, path, stat);
    const before = registry.lastAt(path);
    if (!options.reopen && before) return false;
    if (this.#context.foreign.take(path, stat, this.starting ? "warn" : "debug")) return false;
    const known = this.#knownByInode(path, stat);
    if (known === "second-name") return false;
    if (known) {
      if (known.gone) adopt(this.#context, known, { path, stat });
      else this.#rename(known, path, stat);
      return true;
    }
    if (!isUnknown(this.#context, path, () => this.#isCopy(path, stat))) return true;
    const missing = registry.missing.get(path);
    let after = missing ? this.generations(missing.file, path, missing.since) : (before ?? null);
    if (registry.byPath.has(path)) return true; // a look at a relative has settled it
    if (after && (after.gone || after.done)) after = null;
    after = later(after, predecessor(this.#context, path, stat));
    return follow(this.#context, path, { after, attached: true, from: this.firstScan }) !== null;
  }

  /** Is it a file we know under another name? */
  #knownByInode(path: string, stat: Stat): FollowedFile | "second-name" | null {
    const { fs } = this.#context;
    const known = holderOf(this.#context, path, stat);
    if (!known) return null;
    if (known.attached && known.path !== path) {
      const there = tryStat(fs, known.path);
      if (there === undefined || (there && sameFile(there, stat, fs.traits(path).stable))) return "second-name";
    }
    return holds(this.#context, known, path, stat) ? known : null;
  }

  #rename(file: FollowedFile, path: string, stat: Stat): void {
    const { registry } = this.#context;
    // Said, and counted, when the name was seen to lead elsewhere, if it was.
    const name = file.attached ? "file-renamed" : "file-found-again";
    if (file.path !== path) this.#context.event("info", name, `${file.path} is now ${path}`, { path, file: file.id });
    if (file.size === 0 && file.read === 0 && stat.size > 0)
      file.after = this.generations(file.after, file.path, file.lastLook, stat.mtime);
    registry.attach(file, path);
    registry.identify(file, stat);
    file.final = false;
    file.drained = false;
    if (!file.complete) {
      file.mtime = -1;
      file.done = false;
    }
    this.#context.enqueue(file);
    this.#context.schedule(file, 0);
  }

  /** A copy of a followed file is remembered, that of a gone one is gone on with. */
  #isCopy(path: string, stat: Stat): boolean {
    const { registry, fs } = this.#context;
    let best: FollowedFile | null = null;
    let prefix: FollowedFile | null = null;
    const named = isLogName(path);
    // A new log may begin as a gone one did: only content of some length proves that it is the same.
    const { stable } = fs.traits(path);
    // Looked at under the number it had, a compressed file that got another one seems to be gone from its name.
    const renumbered = (file: FollowedFile) => !stable && file.codec !== null;
    const proof = named && !looksCompressed(path) && stable ? sameContentBytes : 0;
    const root = rootName(path);
    for (const file of resembling(fs, path, registry.relatives(path))) {
      if (file.fifo || file.fingerprint.length === 0) continue;
      if (file.gone) {
        const other = stable && !sameFile(file.identity, stat, stable);
        if (other && !looksCompressed(path) && !this.#context.judgement.mayBeCopyOf(file)) continue;
        if (file.read === 0) continue; // nothing to go on with: the same as a new file
        if (file.read < proof) continue;
        const match = matches(this.#context, file, path);
        if (match === "prefix" && (prefix === null || prefix.read < file.read)) prefix = file;
        if (match !== "yes" && (match !== "maybe" || !looksCompressed(path))) continue;
        if (best && best.read >= file.read) continue;
        best = file;
      } else if (
        this.#mayBecomeCopy(file, path, stat, root) ||
        (!named && renumbered(file) && covers(this.#context, file, path))
      ) {
        const made = !stable || isCompressedOf(file, path) || (looksCompressed(path) && this.#isRemoved(file));
        const until = made
          ? Number.POSITIVE_INFINITY
          : this.#context.clock.monotonic() + this.#context.judgement.patience;
        registry.copies.set(path, { path, of: file, stat, until });
        const what = made ? "is a copy of" : "holds what is in";
        this.#context.event("debug", made ? "file-copied" : "file-waits", `${path} ${what} ${file.path}`, {
          path,
          file: file.id,
        });
        return true;
      }
    }
    if (!best && prefix) follow(this.#context, path, { after: null, attached: true, from: false, consumed: true });
    if (!best) return prefix !== null;
    adopt(this.#context, best, { path, stat });
    return true;
  }

  /** Does the path hold what a followed file holds, which may be truncated or removed in a moment? */
  #mayBecomeCopy(file: FollowedFile, path: string, stat: Stat, root: string): boolean {
    const { fs, options } = this.#context;
    const named = isLogName(path);
    // Beside app.log app-1.log may be a copy; worker-1.log and worker-2.log are several logs.
    if (named && (!isNamedFor(file.path, path, root) || file.path === path || stat.size > file.size)) return false;
    if (!fs.traits(path).stable) return !named && isPrefix(this.#context, file, path);
    const removed = this.#isRemoved(file);
    if (removed && !looksCompressed(path)) return false; // made after its end: a new file
    const compressed = removed || isCompressedOf(file, path);
    // Nothing is known yet of what is there at the first look, and nobody waits for what comes after the last one.
    if (!compressed && (this.firstScan || options.once)) return false;
    if (!named && !compressed && stat.size === 0) return true; // a copy is empty at first
    return isProvenPrefix(this.#context, file, path);
  }

  /** Is it open, without a name? */
  #isRemoved({ source }: FollowedFile): boolean {
    return source instanceof PlainSource && this.#context.fs.fstat(source.fd).links === 0;
  }

  /** Monotonic milliseconds at which a path has waited long enough for its original to be truncated. */
  get reviewAt(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { until } of this.#context.registry.copies.values()) next = Math.min(next, until);
    return next;
  }

  /** True: the path waits on, or is settled. */
  #waits(copy: Copy, stat: Stat | null): boolean {
    const { registry, clock, judgement } = this.#context;
    if (copy.until === Number.POSITIVE_INFINITY || stat === null || copy.of.gone) return false;
    if (!sameFile(stat, copy.stat, false)) return false;
    const grown = stat.size - copy.stat.size;
    if (grown !== 0 || stat.mtime !== copy.stat.mtime) {
      if (grown < 0 || !isProvenPrefix(this.#context, copy.of, copy.path)) return false;
      copy.stat = stat;
      if (grown >= copiedBytes) copy.until = clock.monotonic() + judgement.patience;
    }
    if (clock.monotonic() < copy.until) return true;
    this.#context.look(copy.of);
    if (registry.copies.get(copy.path) !== copy) return true;
    if (this.#isRemoved(copy.of)) {
      copy.until = Number.POSITIVE_INFINITY;
      copy.of.copied = true;
      return true;
    }
    const own = follow(this.#context, copy.path, { after: null, attached: true, from: false });
    if (own && stat.size > 0)
      this.#context.event(
        "info",
        "perhaps-repeated",
        `${copy.path} is sent though it holds what is in ${copy.of.path}`,
        {
          path: copy.path,
          file: own.id,
          bytes: stat.size,
        },
      );
    return true;
  }

  /** Of a file that is gone: its copies are looked at again. */
  reviewCopiesOf(file: FollowedFile): void {
    for (const { path } of this.#context.registry.copiesOf(file)) {
      this.#context.registry.dropCopy(path);
      const stat = tryStat(this.#context.fs, path);
      if (stat) this.found({ path, stat, named: false });
    }
  }

  /** Forgets which paths are copies where they or their originals changed: the next walk reports them anew. */
  dropStaleCopies(where: "local" | "network"): void {
    const { registry, fs } = this.#context;
    for (const copy of [...registry.copies.values()]) {
      if (fs.traits(copy.path).network !== (where === "network")) continue;
      const stat = tryStat(fs, copy.path);
      if (stat === undefined || this.#waits(copy, stat)) continue;
      const same =
        stat !== null &&
        stat.size === copy.stat.size &&
        stat.mtime === copy.stat.mtime &&
        sameFile(stat, copy.stat, false);
      if (same && !copy.of.gone) continue;
      registry.dropCopy(copy.path);
    }
  }

  /** As `generations`; none during an input's very first scan, where what is older is none of ours. */
  generations<T extends FollowedFile | null>(file: T, path: string, since: number, until?: number): T | FollowedFile {
    return this.firstScan ? file : generations(this.#context, file, path, since, until);
  }

  /** Looks for generations at paths that lead nowhere, where their directory changed. */
  reviewMissing(where: "local" | "network"): void {
    const { registry, fs, clock } = this.#context;
    if (registry.missing.size === 0) return;
    const entries = [...registry.missing].slice(-missingPaths);
    const changed = new Map<string, boolean>();
    for (const [path, { file, since }] of entries) {
      if (fs.traits(path).network !== (where === "network")) continue;
      const directory = directoryOf(path);
      if (!changed.has(directory)) {
        const stat = tryStat(fs, directory);
        changed.set(directory, stat?.kind === "directory" && stat.mtime > since - clockSlack(this.#context, path));
      }
      if (changed.get(directory)) this.generations(file, path, since);
      else registry.missing.set(path, { file, since: clock.now() });
    }
  }
}

/** Is the path's name that which compressing the file gives? */
function isCompressedOf(file: FollowedFile, path: string): boolean {
  return looksCompressed(path) && path.startsWith(`${file.path}.`) && !path.slice(file.path.length + 1).includes(".");
}

/** Sorts paths found by one scan so that older generations come first. */
export function oldestFirst(found: Found[]): Found[] {
  return found.sort((a, b) => -newestFirst(a, b));
}
