/** Renames, deletions and truncations of followed files: the old content is drained, the new content is a new file. */

import type { FollowedFile } from "../files/file.ts";
import type { Stat } from "../fs/fs.ts";
import { isLogName, looksCompressed, type Sibling, tryStat } from "../fs/rotated-names.ts";
import { contentOf, isSame } from "../identity/fingerprint.ts";
import { sameFile } from "../identity/identity.ts";
import { PlainSource } from "../source/source.ts";
import { isAllIn, matches } from "./compare.ts";
import type { Context } from "./context.ts";
import { recover } from "./find-copy.ts";
import { adopt, sample, unreadable } from "./follow.ts";
import type { Arrivals } from "./new-paths.ts";
import { findMoved } from "./places.ts";
import { hasContent, holderOf, holds, isProvable, isProven } from "./same-file.ts";

export class Rotation {
  readonly #context: Context;
  readonly #arrivals: Arrivals;

  constructor(context: Context, arrivals: Arrivals) {
    this.#context = context;
    this.#arrivals = arrivals;
  }

  /** The name is gone (`stat` null) or leads to another file. */
  moved(file: FollowedFile, stat: Stat | null): void {
    const { registry, fs, options, judgement, discovery } = this.#context;
    const saved = stat?.kind === "file" && fs.traits(file.path).stable && this.#isSaved(file, stat);
    if (saved && adopt(this.#context, file, { path: file.path, stat })) return;
    if (stat?.kind === "file" && !fs.traits(file.path).stable && this.#renumbered(file, stat)) return;
    const path = file.path;
    registry.detach(file);
    file.drained = false;
    file.replaced = stat !== null;
    this.#context.event(
      "info",
      stat ? "file-replaced" : "file-renamed",
      `${path} ${stat ? "leads to another file now" : "was renamed or deleted"}`,
      { path, file: file.id },
    );
    if (judgement.endsWithName(file)) this.lose(file, 0);
    else if (!file.source) this.search(file);
    if (file.source instanceof PlainSource) {
      const own = fs.fstat(file.source.fd);
      if (!this.#keptContent(file)) this.truncated(file, own.size);
      else {
        sample(this.#context, file);
        if (file.size === 0 && file.read === 0) this.appeared(file, path, own.mtime);
        file.size = own.size;
        file.links = own.links;
        file.mtime = own.mtime;
      }
    }
    this.#context.enqueue(file);
    this.#context.discoverSoon();
    if (!options.reopen) return;
    if (stat?.kind === "file") {
      // Below a glob the walk comes first: it brings what else appeared in the order of age.
      if (discovery.named(path)) this.#arrivals.found({ path, stat, named: true });
    } else {
      const left = registry.missing.get(path);
      if (left) this.#arrivals.generations(left.file, path, left.since);
    }
  }

  /** Was it written anew beside the name and renamed over it, with all that it held and perhaps more? As editors and `sed -i` do. */
  #isSaved(file: FollowedFile, stat: Stat): boolean {
    const { fs, judgement, options } = this.#context;
    const { source } = file;
    if (!options.reopen || file.codec !== null || !(source instanceof PlainSource)) return false;
    const own = fs.fstat(source.fd);
    return (
      own.size <= stat.size &&
      judgement.precedes(stat, own) &&
      judgement.proves({ equal: own.size, whole: false }) &&
      holderOf(this.#context, file.path, stat) === null &&
      this.#keptContent(file) &&
      isAllIn(this.#context, source, file.path)
    );
  }

  /** The name of a FIFO is gone or leads elsewhere. It is read on until its writers close it. */
  fifoMoved(file: FollowedFile, stat: Stat | null): void {
    const { path } = file;
    this.#context.registry.detach(file);
    file.drained = false;
    file.replaced = stat !== null;
    const what = stat ? "leads to something else now" : "was renamed or deleted";
    this.#context.event("info", stat ? "file-replaced" : "file-renamed", `the FIFO ${path} ${what}`, {
      path,
      file: file.id,
    });
    this.#context.discoverSoon();
  }

  /**
   * Inode numbers mean little here: is it the same file with another number, or all that its descriptor leads to? Its
   * content may have been truncated meanwhile.
   */
  #renumbered(file: FollowedFile, stat: Stat): boolean {
    const { registry, descriptors } = this.#context;
    const kept = matches(this.#context, file, file.path) === "yes";
    const { source } = file;
    // Under a rotated name an empty file and what another one left there look the same.
    const empty = source instanceof PlainSource && source.size() === 0 && !isLogName(file.path);
    const same =
      source instanceof PlainSource ? !empty && isAllIn(this.#context, source, file.path) : kept && hasContent(file);
    const holder = same ? holderOf(this.#context, file.path, stat) : null;
    if (!same || (holder && holder !== file && holds(this.#context, holder, file.path, stat))) return false;
    registry.identify(file, stat);
    descriptors.close(file);
    file.mtime = -1;
    if (!kept) this.truncated(file, stat.size);
    return true;
  }

  /** Compares what was read with what is there now. */
  verify(file: FollowedFile): void {
    if (file.source instanceof PlainSource) {
      if (!this.#keptContent(file)) this.truncated(file, file.source.size());
    } else if (file.attached && file.codec === null && !file.fifo && !isSame(matches(this.#context, file, file.path))) {
      const stat = tryStat(this.#context.fs, file.path);
      if (stat) this.truncated(file, stat.size);
    }
  }

  /** Is what was read still there? */
  #keptContent(file: FollowedFile): boolean {
    const { fs, judgement } = this.#context;
    const expected = {
      fingerprint: file.fingerprint,
      marker: file.readMarker,
      position: file.read,
      sample: file.sample,
      marks: [],
    };
    return (
      !(file.source instanceof PlainSource) ||
      judgement.isStill(judgement.match(contentOf(fs, file.source.fd, ""), expected))
    );
  }

  /** A file without a descriptor lost its name: found by inode beside its path, or as a copy, or lost. */
  search(file: FollowedFile): void {
    const { registry, fs, discovery, descriptors } = this.#context;
    let sibling = null;
    try {
      const stable = fs.traits(file.path).stable;
      sibling = findMoved(this.#context, file.path, file.lastLook, (stat) => sameFile(stat, file.identity, stable));
      if (sibling && !this.#isRenamed(file, sibling)) sibling = null;
    } catch (error) {
      unreadable(this.#context, "cannot look beside", file.path, error);
    }
    if (sibling) {
      if (file.size === 0 && file.read === 0) this.appeared(file, file.path, sibling.stat.mtime);
      this.#context.event("info", "file-found-again", `${file.path} is now ${sibling.path}`, {
        path: sibling.path,
        file: file.id,
      });
      if (discovery.matches(sibling.path)) registry.attach(file, sibling.path);
      else {
        registry.move(file, sibling.path);
        descriptors.open(file);
      }
      return;
    }
    if (!recover(this.#context, file)) this.lose(file, Math.max(0, file.size - file.read));
  }

  #isRenamed(file: FollowedFile, { path, stat }: Sibling): boolean {
    if (!isSame(matches(this.#context, file, path))) return false;
    if (isProven(this.#context, file, path, stat)) return true;
    if (looksCompressed(path)) return false; // the inode number was given to a copy
    return holds(this.#context, file, path, stat);
  }

  /**
   * What lies before the position is not what was read: the old content ends here, or goes on in a copy; what is at the
   * inode now is a new file from its beginning.
   */
  truncated(file: FollowedFile, size: number): void {
    const { registry, descriptors, fs, judgement } = this.#context;
    const { path, attached } = file;
    if (file.codec !== null) {
      // Its beginning was taken for that of another file: what the name holds is looked at anew.
      this.lose(file, 0);
      this.#context.discoverSoon();
      return;
    }
    file.copied = true;
    const unread = Math.max(0, file.size - file.read);
    const since = file.lastLook;
    this.#context.event("warn", "file-truncated", `${path} was truncated; ${file.read} bytes of it had been read`, {
      path,
      file: file.id,
    });
    const there = registry.byPath.get(path);
    const other = there && there !== file && !there.gone;
    if (attached && (other || !(isProvable(this.#context, file, path) || isLogName(path)))) {
      // Nobody truncates under a rotated name: this is another file, perhaps a copy, that was given the inode number.
      descriptors.close(file);
      registry.detach(file);
      file.replaced = true;
      if (!judgement.recover(this.#context, file)) this.lose(file, unread);
      this.#context.discoverSoon();
      return;
    }
    const changed = file.source instanceof PlainSource ? fs.fstat(file.source.fd).mtime : Number.POSITIVE_INFINITY;
    const next = this.#context.newFile(path, file.identity, 0);
    next.attached = attached;
    next.replaced = file.replaced;
    descriptors.pass(file, next);
    registry.detach(file);
    next.size = size;
    next.mtime = changed;
    next.links = file.links;
    sample(this.#context, next);
    next.verifiedAt = this.#context.clock.now();
    next.namedAt = file.namedAt; // what the name leads to was not looked at
    registry.add(next);
    if (!judgement.recover(this.#context, file)) this.lose(file, unread);
    file.replaced = true;
    for (const other of registry.files.values()) if (other.after === file && other !== next) other.after = next;
    const last = this.#arrivals.generations(file, path, since, changed);
    next.after = last.gone ? file.after : last;
    const left = registry.missing.get(path);
    if (left) left.file = next;
    this.#context.schedule(next, this.#context.options.pollMin);
    this.#context.enqueue(next);
  }

  /**
   * Lets an empty file under a rotated name go that has content now, if only its inode number speaks for it and it was not
   * open: what is there may be a copy that was given the number. It is found anew, and judged.
   */
  doubt(file: FollowedFile): boolean {
    const provable = isProvable(this.#context, file, file.path);
    if (provable || !file.attached || hasContent(file) || isLogName(file.path)) return false;
    this.lose(file, 0);
    this.#context.discoverSoon();
    return true;
  }

  /** An empty file changed: content may have come and gone since the last look, of which only a copy is left. */
  appeared(file: FollowedFile, path: string, until: number): void {
    sample(this.#context, file);
    file.after = this.#arrivals.generations(file.after, path, file.lastLook, until);
    const left = this.#context.registry.missing.get(path);
    if (left) left.file = file;
  }

  /** Lets a file without a name go when nothing can come from it any more. */
  release(file: FollowedFile, now: number): void {
    const { timing } = this.#context;
    if (file.attached || file.gone || !file.drained || !file.settledAll) return;
    const quiet = file.complete ? 0 : file.replaced || file.links === 0 ? timing.release : timing.releaseUnreplaced;
    if (now - file.lastData < quiet) return;
    if (!file.complete && file.size > file.read && !file.final) {
      file.final = true;
      file.drained = false;
      this.#context.enqueue(file);
      return;
    }
    this.#context.event("debug", "file-released", `let go of ${file.path}`, { path: file.path, file: file.id });
    this.lose(file, 0);
  }

  /** Lets the oldest deleted files go while they hold more than `most` bytes that are not acknowledged. */
  limitHeld(most: number): void {
    const held = [...this.#context.registry.files.values()].filter(
      ({ gone, attached, links }) => !gone && !attached && links === 0,
    );
    let bytes = held.reduce((sum, file) => sum + Math.max(0, file.size - file.position), 0);
    for (const file of held) {
      if (bytes <= most) return;
      bytes -= Math.max(0, file.size - file.position);
      this.lose(file, Math.max(0, file.size - file.read));
    }
  }

  /** No way leads to the file's bytes any more. */
  lose(file: FollowedFile, bytes: number): void {
    this.#context.descriptors.close(file);
    this.#context.registry.detach(file);
    this.#context.park(file);
    file.gone = true;
    file.expect = file.readMarker;
    file.marks.pack();
    file.done = file.settledAll;
    if (this.#context.registry.copiesOf(file).length > 0) file.copied = true;
    this.#arrivals.reviewCopiesOf(file);
    if (bytes > 0)
      this.#context.event("error", "bytes-lost", `${bytes} bytes of ${file.path} cannot be reached any more`, {
        path: file.path,
        file: file.id,
        bytes,
      });
  }
}
