/** Readable files take turns: one chunk each, a generation after the one before it is drained. */
import type { Lines } from "../../lines.ts";
import type { FollowedFile } from "../files/file.ts";
import { RemoteSource } from "../files/network-source.ts";
import { Reader, type ReadResult } from "../lines/reader.ts";
import type { Context } from "../rotation/context.ts";
import type { Rotation } from "../rotation/rotation.ts";
import { isForeign } from "../source/decoder.ts";
import { PlainSource } from "../source/source.ts";
import type { Poller } from "./poller.ts";

/** Milliseconds until the next look at a file of whose growth events tell: the look is only for events that were lost. */
const toldAgain = 20;

/** Files that one call tries at most, so that thousands without a line do not hold the event loop. */
const mostTurns = 1000;
/** So many of the files without a descriptor try again at a time: a file that is closed makes room for one. */
const starvedAtOnce = 16;

export class Turns {
  readonly #context: Context;
  readonly #rotation: Rotation;
  readonly #poller: Poller;
  readonly #reader: Reader;
  readonly #ready: FollowedFile[] = [];
  /** With `once`, where nobody looks again: files that had no descriptor yet. */
  readonly #starved: FollowedFile[] = [];
  /** One file used up what a call may look through: the others come in the next one. */
  #spent = false;

  constructor(context: Context, rotation: Rotation, poller: Poller) {
    this.#context = context;
    this.#rotation = rotation;
    this.#poller = poller;
    this.#reader = new Reader(
      context.options,
      ({ level, name, message, ...more }) => context.event(level, name, message, more),
      context.judgement,
    );
  }

  /** There may be something to read. */
  enqueue(file: FollowedFile): void {
    if (file.queued || file.gone || file.complete) return;
    file.queued = true;
    this.#ready.push(file);
  }

  /** A descriptor may be free by now: some of the files that had none take their turn. False when there are none. */
  tryStarved(): boolean {
    const some = this.#starved.splice(0, starvedAtOnce);
    for (const file of some) this.enqueue(file);
    return some.length > 0;
  }

  get none(): boolean {
    return this.#ready.length === 0;
  }

  /** Does a file wait for its turn that does not wait for another file? */
  get waiting(): boolean {
    // Not `some`: what is asked can put the generation before behind the others.
    for (let i = 0; i < this.#ready.length; i++) if (!this.#blocked(this.#ready[i]!)) return true;
    return false;
  }

  /** The next chunk, of at most `records` records; null when no file has one now. */
  next(now: number, records: number): Lines | null {
    this.#spent = false;
    for (let turns = Math.min(this.#ready.length, mostTurns); turns > 0 && !this.#spent; turns--) {
      const file = this.#ready.shift()!;
      file.queued = false;
      if (file.gone || file.done) continue;
      if (this.#blocked(file)) this.enqueue(file);
      else {
        const lines = this.#take(file, now, records);
        if (lines !== null) return lines;
      }
    }
    return null;
  }

  /** Waits for the generation before to be drained. */
  #blocked(file: FollowedFile): boolean {
    const { after } = file;
    if (after === null) return false;
    const stuck = after.gone || after.done || after.unreadable || after.starved;
    if (!stuck && this.#context.registry.files.has(after.id)) {
      if (!after.drained || this.#grewMeanwhile(after)) return true;
      // Its writer may go on with the old one until it begins this one.
      if (file.size === 0 && file.read === 0) return false;
    }
    file.after = null;
    return false;
  }

  /** Was more written to a file than was there when it was drained? It is read once more then. */
  #grewMeanwhile(file: FollowedFile): boolean {
    if (!(file.source instanceof PlainSource) || file.source instanceof RemoteSource) return false;
    const size = sizeOf(file.source);
    if (size <= Math.max(file.scanned, file.drainedTo)) return false;
    file.drainedTo = size;
    file.drained = false;
    this.enqueue(file);
    return true;
  }

  #take(file: FollowedFile, now: number, records: number): Lines | null {
    try {
      return this.#opened(file) ? this.#read(file, now, records) : null;
    } catch (error) {
      this.#poller.trouble(file, "read", error);
      return null;
    }
  }

  #opened(file: FollowedFile): boolean {
    const held = file.source !== null;
    const opened = this.#context.descriptors.open(file);
    if (opened === "later") return false;
    if (opened === "missing" || opened === "other") {
      if (file.attached) this.#context.look(file);
      else this.#rotation.search(file);
      return false;
    }
    if (opened === "full" || !file.source) {
      this.#context.schedule(file, this.#context.options.pollMin);
      file.mtime = -1; // the next look finds it changed
      file.starved = true;
      if (this.#context.options.once) this.#starved.push(file);
      return false;
    }
    file.starved = false;
    file.growing = false;
    if (!unseenContent(file)) return true;
    if (held || !this.#rotation.doubt(file)) this.#context.look(file);
    return false;
  }

  #read(file: FollowedFile, now: number, records: number): Lines | null {
    const { options, clock } = this.#context;
    const source = file.source!;
    const ready = this.#reader.prepare(file, source);
    const result = ready === "ready" ? this.#readLines(file, now, records) : ready;
    if (result === "later") return null;
    if (result === "again") {
      this.#spent = true;
      this.enqueue(file);
      return null;
    }
    if (file.unreadable) this.#context.troubles.over(file.path);
    file.unreadable = false;
    if (result === "changed") {
      this.#rotation.truncated(file, source.size());
      return null;
    }
    file.verifiedAt = clock.now();
    if (result === "end") {
      this.#ended(file);
      return null;
    }
    file.growing = true;
    file.lastData = now;
    const told = file.attached && this.#context.watched(file.path);
    this.#context.schedule(file, told ? Math.max(options.pollMin, toldAgain) : options.pollMin);
    // What else it may hold by now the next look brings: not worth a read that most likely finds nothing.
    file.drained = file.exhausted && !options.once && source instanceof PlainSource;
    if (!file.drained) this.enqueue(file);
    return result;
  }

  #readLines(file: FollowedFile, now: number, records: number): ReadResult {
    const { options, judgement } = this.#context;
    const { multiline, once } = options;
    const source = file.source!;
    for (;;) {
      const flushGroup = multiline !== null && (once || source.closed || now - file.lastData >= multiline.timeoutMs);
      const { final } = file;
      const isFinal = judgement.isFinal(file, source);
      file.final = isFinal;
      const result = this.#reader.read(file, source, { records, flushGroup });
      file.final = final;
      // Whether a compressed file ends for good is known once its end was read.
      if (result !== "end" || isFinal || !source.closed) return result;
    }
  }

  #ended(file: FollowedFile): void {
    const { options, descriptors, registry } = this.#context;
    file.drained = true;
    if (file.unlinked) registry.changed.add(file.id);
    this.#damaged(file);
    if (file.source?.closed) {
      file.complete = true;
      descriptors.close(file);
      if (file.settledAll) {
        file.done = true;
        registry.changed.add(file.id);
      }
    } else if (file.settledAll) this.tryStarved();
    if (file.openGroup) this.#context.schedule(file, options.multiline!.timeoutMs);
    if (options.once && file.limit > file.read && file.limit !== Number.POSITIVE_INFINITY)
      this.#context.event(
        "info",
        "unterminated-line",
        `${file.limit - file.read} bytes at the end of ${file.path} are not a complete line`,
        { path: file.path, file: file.id, bytes: file.limit - file.read },
      );
  }

  /** Says what of a compressed file cannot be read; of one that is cut short only where nothing more will come. */
  #damaged(file: FollowedFile): void {
    const damage = file.source?.damage;
    if (!damage || !(file.source?.closed || this.#context.options.once)) return;
    const { message, offset, bytes } = damage;
    if (isForeign(file.codec)) {
      // Mostly a log whose lines were sent before it was compressed: no loss that is known.
      this.#context.event("warn", "archive-unread", `${file.path} is not read: ${message}`, {
        path: file.path,
        file: file.id,
        bytes,
      });
      return;
    }
    const rest = bytes > 0 ? `${bytes} compressed bytes from ${offset} on` : `what follows byte ${offset}`;
    this.#context.event("error", "bytes-lost", `cannot read ${rest} of ${file.path}: ${message}`, {
      path: file.path,
      file: file.id,
      bytes,
    });
  }
}

/** Was it empty when last seen? Then the look comes before the read: what came before this may be left only in a copy. */
function unseenContent({ attached, size, read, source }: FollowedFile): boolean {
  if (source instanceof RemoteSource) return false; // its size is what looks tell
  return attached && size === 0 && read === 0 && source instanceof PlainSource && source.size() > 0;
}

/** -1: the system does not say now. */
function sizeOf(source: PlainSource): number {
  try {
    return source.size();
  } catch {
    return -1;
  }
}
