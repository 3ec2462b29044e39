/** What to make of a path that is not followed by name: a known file under a new name, a copy of one, or a new file. */

import { type Content, contentOf, headOf, isSame, type Match, matchContent, sampleOf, withContent } from "./content.ts";
import type { Context } from "./context.ts";
import type { Found } from "./discover.ts";
import { FifoSource } from "./fifo.ts";
import type { FollowedFile } from "./file.ts";
import { errorCode, type Stat } from "./fs.ts";
import { markerBytes, sameFile } from "./identity.ts";
import {
  directoryOf,
  looksCompressed,
  nameOf,
  newestFirst,
  type Sibling,
  siblingsOf,
  strictRootName,
  tryStat,
} from "./siblings.ts";
import { PlainSource } from "./source.ts";
import { startPosition } from "./start.ts";

/** A file that appears under the path of one that is gone is the same only if it agrees for at least so many bytes. */
const sameContentBytes = 4096;
/** Milliseconds the clock of a file's times may be behind ours: the kernel's tick here, a server's clock elsewhere. */
const stableSlack = 20;
const remoteSlack = 2000;
/** Bytes at each end of a copy that are compared with its original. */
const comparedBytes = 65_536;
/** Paths without a file that are looked after: those that lost it last. */
const missingPaths = 100;

export class Arrivals {
  readonly #context: Context;
  /** Set during an input's very first scan: `--from` applies. */
  firstScan = false;

  constructor(context: Context) {
    this.#context = context;
  }

  /** True if the path changed what is followed. */
  found({ path, stat, named }: Found): boolean {
    const { registry, options } = this.#context;
    if (stat.kind === "fifo") return named && this.#addFifo(path, stat);
    const before = registry.lastAt(path);
    if (!options.reopen && before) return false;
    const known = this.#knownByInode(path, stat);
    if (known === "second-name") return false;
    if (known) {
      if (known.gone) this.adopt(known, { path, stat });
      else this.#rename(known, path, stat);
      return true;
    }
    if (this.#isCopy(path, stat)) return true;
    if (registry.byPath.has(path)) return true; // a look at a relative has settled it
    const missing = registry.missing.get(path);
    let after = missing ? this.generations(missing.file, path, missing.since) : (before ?? null);
    if (after && (after.gone || after.drained || after.done)) after = null;
    after = this.#later(after, this.#predecessor(path, stat));
    return this.add(path, { after, attached: true, from: this.firstScan }) !== null;
  }

  #later(file: FollowedFile | null, other: FollowedFile | null): FollowedFile | null {
    if (file === null || file.gone) return other;
    return other !== null && other.mtime > file.mtime ? other : file;
  }

  /** The youngest older generation of the same log that is not drained yet. */
  #predecessor(path: string, stat: Stat): FollowedFile | null {
    let best: FollowedFile | null = null;
    for (const file of this.#context.registry.relatives(path)) {
      if (file.gone || file.drained || file.complete || file.path === path || file.mtime > stat.mtime) continue;
      if (directoryOf(file.path) !== directoryOf(path) || strictRootName(file.path) !== strictRootName(path)) continue;
      if (best === null || file.mtime >= best.mtime) best = file;
    }
    return best;
  }

  /** Is it a file we know under another name? */
  #knownByInode(path: string, stat: Stat): FollowedFile | "second-name" | null {
    const { registry, fs, mutants } = this.#context;
    const known = registry.atInode(stat);
    if (!known) return null;
    const stable = fs.traits(path).stable;
    if (!sameFile(known.identity, stat, stable && !mutants.has("ignore-birth"))) return null;
    if (known.attached && known.path !== path) {
      const there = tryStat(fs, known.path);
      if (there === undefined || (there && sameFile(there, stat, stable))) return "second-name";
    }
    // While it is open its inode cannot be given to another file.
    if (known.source instanceof PlainSource && sameFile(fs.fstat(known.source.fd), stat, stable)) return known;
    return isSame(this.matches(known, path)) ? known : null;
  }

  #rename(file: FollowedFile, path: string, stat: Stat): void {
    const { registry } = this.#context;
    if (file.path !== path)
      this.#context.event("info", "file-renamed", `${file.path} is now ${path}`, { path, file: file.id });
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

  /** Compares what a path holds with what is known of a file. */
  matches(file: FollowedFile, path: string): Match {
    const { fs, mutants } = this.#context;
    const marker = mutants.has("no-marker") ? null : (file.readMarker ?? file.unreadMarker);
    return (
      this.#probe(() =>
        withContent(fs, path, (content) =>
          matchContent(content, {
            fingerprint: file.fingerprint,
            marker,
            position: file.read,
            sample: file.sample,
            marks: file.marks,
          }),
        ),
      ) ?? "no"
    );
  }

  /** A copy of a followed file is remembered, that of a gone one is gone on with. */
  #isCopy(path: string, stat: Stat): boolean {
    const { registry, fs } = this.#context;
    this.#lookAtRelatives(path);
    if (registry.byPath.has(path)) return true;
    let best: { file: FollowedFile; content: Pick<Content, "codec"> } | null = null;
    let prefix: FollowedFile | null = null;
    for (const file of registry.relatives(path)) {
      if (file.fingerprint.length === 0 || file.fifo) continue;
      if (file.gone) {
        if (file.read === 0) continue; // nothing to go on with: the same as a new file
        if (file.path === path && !looksCompressed(path) && fs.traits(path).stable && file.read < sameContentBytes)
          continue;
        const match = this.matches(file, path);
        if (match === "prefix" && (prefix === null || prefix.read < file.read)) prefix = file;
        if (match !== "yes" && (match !== "maybe" || !looksCompressed(path))) continue;
        if (best && best.file.read >= file.read) continue;
        best = { file, content: { codec: null } };
      } else if (this.#isPrefix(file, path)) {
        registry.copies.set(path, { path, of: file, stat });
        this.#context.event("debug", "file-copied", `${path} is a copy of ${file.path}`, { path, file: file.id });
        return true;
      }
    }
    if (!best && prefix) this.#addCopy(path);
    if (!best) return prefix !== null;
    this.adopt(best.file, { path, stat });
    return true;
  }

  /** A copy of what was read already from a file that is gone: followed from its end. */
  #addCopy(path: string): void {
    this.add(path, { after: null, attached: true, from: false, consumed: true });
  }

  /** They may have been truncated or renamed since the last look. */
  #lookAtRelatives(path: string): void {
    for (const file of this.#context.registry.relatives(path))
      if (file.attached && !file.complete) this.#context.look(file);
  }

  /** Is all that the path holds known to be read, or going to be, from another file? */
  #covers(file: FollowedFile, path: string): boolean {
    if (file.fingerprint.length === 0 || file.fifo) return false;
    // Before anything was read a common header would be all that could agree.
    if (file.gone) return file.read > 0 && ["yes", "prefix"].includes(this.matches(file, path));
    return this.#isPrefix(file, path);
  }

  /** Does the path hold nothing but the beginning of a followed file? (A copy, perhaps still being made.) */
  #isPrefix(file: FollowedFile, path: string): boolean {
    const { fs } = this.#context;
    // Copies are made under rotated names; a new log may begin with the same header as the old one.
    if (strictRootName(path) === nameOf(path) && directoryOf(path) === directoryOf(file.path)) return false;
    const compare = (own: Content) => withContent(fs, path, (content) => isPrefixOf(content, own));
    return (
      this.#probe(() => {
        if (file.source instanceof PlainSource) return compare(contentOf(fs, file.source.fd, ""));
        return file.attached ? withContent(fs, file.path, compare) : false;
      }) ?? false
    );
  }

  /** Of a file that is gone: its copies are looked at again. */
  reviewCopiesOf(file: FollowedFile): void {
    for (const { path } of this.#context.registry.copiesOf(file)) {
      this.#context.registry.copies.delete(path);
      const stat = tryStat(this.#context.fs, path);
      if (stat) this.found({ path, stat, named: false });
    }
  }

  /** Forgets which paths are copies where they or their originals changed: the next walk reports them anew. */
  dropStaleCopies(): void {
    const { registry, fs } = this.#context;
    for (const copy of [...registry.copies.values()]) {
      const stat = tryStat(fs, copy.path);
      if (stat === undefined) continue;
      const same =
        stat !== null &&
        stat.size === copy.stat.size &&
        stat.mtime === copy.stat.mtime &&
        sameFile(stat, copy.stat, false);
      if (same && !copy.of.gone) continue;
      registry.copies.delete(copy.path);
    }
  }

  /** Goes on with a file where its content was found: a copy, a compressed successor, another inode. */
  adopt(file: FollowedFile, { path, stat }: Sibling): boolean {
    const { registry, descriptors, discovery, fs } = this.#context;
    descriptors.close(file);
    file.expect = file.readMarker;
    registry.copies.delete(path);
    registry.identify(file, stat);
    if (discovery.matches(path)) registry.attach(file, path);
    else {
      registry.detach(file);
      registry.move(file, path);
      file.replaced = true;
    }
    file.codec = this.#probe(() =>
      withContent(fs, path, (content) => {
        if (file.read === 0 && file.fingerprint.length === 0) file.restoreHead(headOf(content));
        if (file.read === 0) file.sample = sampleOf(content);
        return content.codec;
      }),
    );
    file.gone = false;
    file.complete = file.done && file.codec !== null;
    file.done = file.complete;
    file.final = false;
    file.drained = false;
    file.links = stat.links;
    file.lastData = this.#context.clock.monotonic();
    file.mtime = stat.mtime;
    if (file.codec === null) file.size = stat.size;
    this.#context.event("info", "file-found-again", `going on with the content of ${path} at ${file.read}`, {
      path,
      file: file.id,
    });
    if (!file.complete) {
      if (!file.attached && this.#probe(() => descriptors.open(file)) !== "open") return false;
      this.#context.enqueue(file);
    }
    this.#context.schedule(file, this.#context.options.pollMin);
    return true;
  }

  /** Goes on with a copy of a file whose bytes are out of reach; true if there is one. */
  recover(file: FollowedFile): boolean {
    // A copy may be compressed and removed between finding and opening it.
    for (let tries = 0; tries < 3; tries++) {
      const copy = this.#findCopy(file);
      if (!copy) return false;
      if (this.adopt(file, copy)) return true;
    }
    return false;
  }

  /** Finds a file whose bytes are out of reach among the files beside it, by content. */
  #findCopy(file: FollowedFile): Sibling | null {
    const { registry, fs } = this.#context;
    if (file.fingerprint.length === 0) return null;
    const candidates = this.#probe(() => siblingsOf(fs, file.path)) ?? [];
    if (file.read === 0) {
      // A common header may be all that agrees: the first generation after the last look is the likeliest.
      const later = candidates.filter(({ stat }) => stat.mtime > file.lastLook - this.#slack(file.path)).reverse();
      candidates.unshift(...later);
    }
    for (const wanted of ["yes", "maybe"] as const) {
      for (const candidate of candidates) {
        if (strictRootName(candidate.path) === nameOf(candidate.path)) continue; // a new log, whatever its header says
        const holder = registry.atInode(candidate.stat);
        const held = holder && holder !== file && !holder.gone && sameFile(holder.identity, candidate.stat, true);
        if (held && (file.read === 0 || holder.read < file.read || !holder.settledAll)) continue;
        if (
          file.read === 0 &&
          registry.relatives(candidate.path).some((other) => other !== file && this.#covers(other, candidate.path))
        )
          continue;
        const match = this.matches(file, candidate.path);
        if (match !== wanted || (held && match !== "yes") || (match === "maybe" && !looksCompressed(candidate.path)))
          continue;
        // Taken for a copy of what was read, but not all of that was settled when the process ended.
        if (held) this.#drop(holder);
        return candidate;
      }
    }
    return null;
  }

  /**
   * Generations between `file`, last seen at `path` at `since` (wall clock), and what is there now: written and rotated
   * between two looks, last changed not after `until`. Follows them, oldest first, and returns the last one; `file` itself if there are none.
   */
  generations<T extends FollowedFile | null>(
    file: T,
    path: string,
    since: number,
    until = Number.POSITIVE_INFINITY,
  ): T | FollowedFile {
    const { registry, fs, options } = this.#context;
    if (!options.reopen || this.firstScan || strictRootName(path) !== nameOf(path)) return file;
    const slack = this.#slack(path);
    const root = strictRootName(path);
    let last: T | FollowedFile = file;
    const siblings = this.#probe(() => siblingsOf(fs, path)) ?? [];
    for (const { path: sibling, stat } of siblings.reverse()) {
      if (stat.mtime <= since - slack || stat.mtime > until || strictRootName(sibling) !== root || stat.size === 0)
        continue;
      const named = registry.byPath.get(sibling);
      if (named && !sameFile(named.identity, stat, fs.traits(path).stable)) {
        // Rotated on since it was looked at: what has its name now may be such a generation.
        this.#context.look(named);
        const there = registry.byPath.get(sibling);
        if (there && there !== named && there.read === 0) {
          there.after = last;
          last = there;
        }
      }
      if (registry.byPath.has(sibling) || registry.copies.has(sibling)) continue;
      const holder = registry.atInode(stat);
      if (
        holder &&
        sameFile(holder.identity, stat, fs.traits(path).stable) &&
        (!holder.gone || this.matches(holder, sibling) === "yes")
      )
        continue;
      this.#lookAtRelatives(sibling);
      if (registry.byPath.has(sibling)) continue;
      if (registry.relatives(sibling).some((other) => this.#covers(other, sibling))) continue;
      const added = this.add(sibling, {
        after: this.#later(
          last?.gone ? last.after : last,
          until < Number.POSITIVE_INFINITY ? null : this.#predecessor(sibling, stat),
        ),
        attached: this.#context.discovery.matches(sibling),
        from: false,
      });
      if (!added) continue;
      added.replaced = true;
      registry.setLastAt(path, added);
      last = added;
    }
    if (last && registry.missing.has(path))
      registry.missing.set(path, { file: last, since: Math.min(until, this.#context.clock.now()) });
    return last;
  }

  #slack(path: string): number {
    return this.#context.fs.traits(path).stable ? stableSlack : remoteSlack;
  }

  /** Remembers how the content of a file begins and ends of which nothing was read yet. */
  sample(file: FollowedFile): void {
    const { fs } = this.#context;
    if (file.read > 0) return;
    const take = (content: Content) => {
      file.growHead(headOf(content), 0);
      file.sample = sampleOf(content);
    };
    if (file.source instanceof PlainSource) take(contentOf(fs, file.source.fd, ""));
    else if (file.attached) this.#probe(() => withContent(fs, file.path, take));
  }

  #drop(file: FollowedFile): void {
    this.#context.descriptors.close(file);
    this.#context.park(file);
    file.gone = true;
    this.#context.registry.forget(file);
  }

  /** Looks for generations at paths that lead nowhere, where their directory changed. */
  reviewMissing(): void {
    const { registry, fs, clock } = this.#context;
    const entries = [...registry.missing].slice(-missingPaths);
    const changed = new Map<string, boolean>();
    for (const [path, { file, since }] of entries) {
      const directory = directoryOf(path);
      if (!changed.has(directory)) {
        const stat = tryStat(fs, directory);
        changed.set(directory, stat?.kind === "directory" && stat.mtime > since - this.#slack(directory));
      }
      if (changed.get(directory)) this.generations(file, path, since);
      else registry.missing.set(path, { file, since: clock.now() });
    }
  }

  /** Begins to follow a file nobody knows. */
  add(
    path: string,
    {
      after,
      attached,
      from,
      consumed = false,
    }: { after: FollowedFile | null; attached: boolean; from: boolean; consumed?: boolean },
  ): FollowedFile | null {
    const { registry, fs, options, descriptors } = this.#context;
    let fd: number | null = null;
    try {
      fd = fs.open(path);
      if (fd === null) return null;
      const stat = fs.fstat(fd);
      const content = contentOf(fs, fd, path);
      const position = consumed
        ? content.size
        : from && content.codec === null
          ? startPosition(content, stat.size, options)
          : 0;
      const file = this.#context.newFile(path, stat, position);
      file.attached = attached;
      file.growHead(headOf(content), 0);
      if (position === 0) file.sample = sampleOf(content);
      const tailFrom = Math.max(0, position - markerBytes);
      file.setTail(content.read(tailFrom, position - tailFrom));
      file.pending.settled = {
        position,
        line: 1,
        marker: position > 0 ? { bytes: file.tailBytes(), to: position } : null,
      };
      file.after = after;
      file.codec = content.codec;
      file.complete = content.codec !== null && (consumed || (from && options.from === "end"));
      file.done = file.complete;
      file.size = content.size;
      file.mtime = stat.mtime;
      file.links = stat.links;
      file.lastLook = this.#context.clock.now();
      registry.add(file);
      if (content.codec === null && (!attached || descriptors.makeRoom())) {
        descriptors.keep(file, fd);
        fd = null;
      } else if (!attached) descriptors.open(file);
      this.#context.event("info", "file-found", `following ${path} from ${position}`, { path, file: file.id });
      this.#context.schedule(file, options.pollMin);
      if (!file.complete) this.#context.enqueue(file);
      return file;
    } catch (error) {
      const scarce = errorCode(error) === "EMFILE" || errorCode(error) === "ENFILE";
      if (scarce) {
        descriptors.full();
        this.#context.discoverSoon();
      }
      this.#context.event(scarce ? "debug" : "warn", "file-unreadable", `cannot open ${path}`, { path, cause: error });
      return null;
    } finally {
      if (fd !== null) fs.close(fd);
    }
  }

  #addFifo(path: string, stat: Stat): boolean {
    const { registry, fs, descriptors } = this.#context;
    const fd = this.#probe(() => fs.open(path));
    if (fd === null || fd === undefined) return false;
    const file = this.#context.newFile(path, stat, 0);
    file.fifo = true;
    registry.add(file);
    descriptors.keepSource(file, new FifoSource(fs, fd));
    this.#context.event("info", "file-found", `reading the FIFO ${path}`, { path, file: file.id });
    this.#context.schedule(file, this.#context.options.pollMin);
    return true;
  }

  /** Null, and an event, where the system refuses. */
  #probe<T>(f: () => T): T | null {
    try {
      return f();
    } catch (error) {
      this.#context.event("debug", "file-unreadable", "cannot look at a file", { cause: error });
      return null;
    }
  }
}

/** Does what can be seen of `content` agree with the beginning of `own`? Of large ones the first and the last block are compared. */
function isPrefixOf(content: Content, own: Content): boolean {
  if (content.size > own.size) return false;
  const first = Math.min(content.size, comparedBytes);
  const last = Math.max(0, content.size - comparedBytes);
  const same = (from: number, length: number) => own.read(from, length).equals(content.read(from, length));
  return same(0, first) && same(last, content.size - last);
}

/** Sorts paths found by one scan so that older generations come first. */
export function oldestFirst(found: Found[]): Found[] {
  return found.sort((a, b) => -newestFirst(a, b));
}
