/** Looks at files when they are due: stat is the source of truth, events only bring a look forward. */

import type { FollowedFile } from "../files/file.ts";
import { CheckHeap } from "../files/schedule.ts";
import { errorCode, type Stat } from "../fs/fs.ts";
import type { Context } from "../rotation/context.ts";
import { unreadable } from "../rotation/follow.ts";
import type { Rotation } from "../rotation/rotation.ts";
import { FifoSource } from "../source/fifo.ts";
import { PlainSource } from "../source/source.ts";

/** Share of its interval by which a look may come early. */
const early = 1 / 16;
/** Files looked at in one call, so that thousands do not stall the event loop. */
const sliceSize = 1000;
/** Milliseconds for which the name of a file that keeps growing need not be looked at: reading tells of all but renames. */
const namedFor = 50;
/** Milliseconds between looks at an idle file whose changes events tell, if `pollMax` is not longer. */
const watchedMax = 8000;

export class Poller {
  readonly #context: Context;
  readonly #rotation: Rotation;
  readonly #heap = new CheckHeap<FollowedFile>();
  readonly #lookingAt = new Set<FollowedFile>();

  constructor(context: Context, rotation: Rotation) {
    this.#context = context;
    this.#rotation = rotation;
  }

  schedule(file: FollowedFile, interval: number): void {
    file.interval = interval;
    if (!file.gone) this.#heap.schedule(file, this.#context.clock.monotonic() + interval);
  }

  remove(file: FollowedFile): void {
    this.#heap.remove(file);
  }

  /** Something happened to it, maybe to its name: look now. */
  hint(file: FollowedFile, name = true): void {
    const now = this.#context.clock.monotonic();
    if (name) file.lastStat = Number.NEGATIVE_INFINITY;
    if (file.slot >= 0 && file.due > now) this.#heap.schedule(file, now);
  }

  /** Milliseconds until the next look. */
  wait(now: number): number {
    const first = this.#heap.first();
    return first ? Math.max(0, first.due - now) : Number.POSITIVE_INFINITY;
  }

  run(now: number): void {
    for (let i = 0; i < sliceSize; i++) {
      const file = this.#heap.first();
      // Those that are due about the same time go along: a wake-up costs more than a few looks.
      if (!file || (i === 0 ? file.due : this.#earliest(file)) > now) return;
      if (this.#growing(file, now)) {
        this.schedule(file, this.#nextInterval(file));
        this.#context.enqueue(file);
      } else this.look(file, now);
    }
  }

  #earliest(file: FollowedFile): number {
    // The end of a time-out is not early.
    return file.openGroup ? file.due : file.due - file.interval * early;
  }

  /** Mostly it has grown again: reading says so for the price of a stat. Only after one where a server may be away. */
  #growing(file: FollowedFile, now: number): boolean {
    if (!file.growing || now - file.lastStat >= namedFor || !file.attached) return false;
    return file.source instanceof PlainSource && !this.#context.fs.traits(file.path).network;
  }

  look(file: FollowedFile, now: number): void {
    if (this.#lookingAt.has(file)) return; // a look at one file can ask for a look at its relatives
    this.#lookingAt.add(file);
    const { fs } = this.#context;
    this.schedule(file, this.#nextInterval(file));
    try {
      if (file.openGroup) this.#context.enqueue(file);
      if (file.fifo) this.#lookAtFifo(file);
      else if (file.attached && fs.traits(file.path).network) this.#lookLater(file);
      else {
        if (file.attached) this.#named(file, fs.stat(file.path));
        else if (file.source instanceof PlainSource) this.#looked(file, fs.fstat(file.source.fd));
        else if (!file.source) this.#context.enqueue(file);
        this.#after(file, now);
      }
    } catch (error) {
      this.trouble(file, "look at", error);
    } finally {
      this.#lookingAt.delete(file);
    }
  }

  #nextInterval(file: FollowedFile): number {
    const { pollMin, pollMax } = this.#context.options;
    const doubled = Math.max(pollMin, file.interval * 2);
    if (doubled <= pollMax) return doubled;
    return this.#context.watched(file.path) ? Math.min(doubled, Math.max(pollMax, watchedMax)) : pollMax;
  }

  /** Trouble with one file is said once and tried again later. */
  trouble(file: FollowedFile, action: string, error: unknown): void {
    if (!file.unreadable) unreadable(this.#context, `cannot ${action}`, file.path, error);
    file.unreadable = true;
    file.mtime = -1;
    if (errorCode(error) === "ESTALE") this.#context.descriptors.close(file);
  }

  #after(file: FollowedFile, now: number): void {
    if (!file.attached) this.#rotation.release(file, now);
  }

  #lookAtFifo(file: FollowedFile): void {
    const { fs, judgement } = this.#context;
    if (file.attached && !fs.traits(file.path).network) {
      const stat = fs.stat(file.path);
      const same = stat?.kind === "fifo" && judgement.sameFile(stat, file.identity, fs.traits(file.path).stable);
      if (!same) this.#rotation.fifoMoved(file, stat);
    }
    const { source } = file;
    if (!(source instanceof FifoSource)) return;
    const over = source.ended && source.size() <= file.read;
    if (!file.attached && over && file.drained && file.settledAll) this.#rotation.lose(file, 0);
    else if (!file.queued) this.#context.enqueue(file);
  }

  /** The server may be away: the look must not stop the other files. */
  #lookLater(file: FollowedFile): void {
    if (file.looking) return;
    file.looking = true;
    const path = file.path;
    const done = (f: () => void) => {
      file.looking = false;
      if (file.gone || file.path !== path) return;
      try {
        f();
      } catch (error) {
        this.trouble(file, "look at", error);
      }
      this.#after(file, this.#context.clock.monotonic());
    };
    this.#context.fs.statLater(path).then(
      (stat) => done(() => this.#named(file, stat)),
      (error) => done(() => this.trouble(file, "look at", error)),
    );
  }

  /** What the file's name leads to. */
  #named(file: FollowedFile, stat: Stat | null): void {
    const { fs, judgement, registry } = this.#context;
    // Another file was found at the name before, under an inode number that was this file's.
    const passed = registry.byPath.get(file.path) !== file;
    if (passed || stat?.kind !== "file" || !judgement.sameFile(stat, file.identity, fs.traits(file.path).stable))
      this.#rotation.moved(file, stat);
    else {
      file.namedAt = this.#context.clock.now();
      this.#looked(file, stat);
    }
  }

  #looked(file: FollowedFile, stat: Stat): void {
    if (file.links !== stat.links) this.#context.registry.changed.add(file.id);
    file.links = stat.links;
    file.lastStat = this.#context.clock.monotonic();
    if (file.codec !== null) {
      if (stat.mtime !== file.mtime || file.unreadable) this.#rewritten(file, stat);
      return;
    }
    if (stat.size === file.size && stat.mtime === file.mtime && !file.unreadable) {
      if (!file.queued) file.verifiedAt = this.#context.clock.now();
      return;
    }
    if (this.#context.judgement.shrank(file, stat.size)) {
      this.#rotation.truncated(file, stat.size);
      return;
    }
    if (file.size === 0 && file.read === 0 && file.attached) {
      if (!file.source && this.#rotation.doubt(file)) return;
      this.#rotation.appeared(file, file.path, stat.mtime);
    }
    if (stat.size > file.size) file.lastData = this.#context.clock.monotonic();
    file.size = stat.size;
    file.mtime = stat.mtime;
    file.drained = false;
    this.#context.enqueue(file);
  }

  /** A compressed file that changed is still being written: begins anew, up to the position. */
  #rewritten(file: FollowedFile, stat: Stat): void {
    file.expect = file.readMarker;
    this.#context.descriptors.close(file);
    file.complete = file.done = false;
    file.mtime = stat.mtime;
    this.#context.enqueue(file);
  }
}
