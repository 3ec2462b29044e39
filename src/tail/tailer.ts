/** Follows the files of one input: discover → poll → read → lines. One chunk per call of `next`. */
import type { FileId, Lines } from "../lines.ts";
import type { Clock, Random } from "../runtime.ts";
import type { FileState } from "../state/types.ts";
import { Arrivals } from "./arrivals.ts";
import { BusyDirectories } from "./busy.ts";
import { type Context, defaultTiming, type Timing } from "./context.ts";
import { Descriptors } from "./descriptors.ts";
import { Discovery } from "./discover.ts";
import { FollowedFile } from "./file.ts";
import type { Fs } from "./fs.ts";
import type { Identity } from "./identity.ts";
import { type Judgement, judgement } from "./judgement.ts";
import { Poller } from "./poller.ts";
import { RateLimit } from "./rate-limit.ts";
import { Reader } from "./reader.ts";
import { Registry } from "./registry.ts";
import { resume } from "./resume.ts";
import { Rotation } from "./rotation.ts";
import { Scout } from "./scout.ts";
import { directoryOf } from "./siblings.ts";
import { PlainSource } from "./source.ts";
import type { TailEvent, TailedFile, Tailer, TailOptions } from "./types.ts";
import { DirectoryWatch } from "./watch.ts";

export interface TailEnv {
  fs: Fs;
  clock: Clock;
  random: Random;
  timing?: Partial<Timing>;
  /** Tests plant defects in it and prove that they are caught. */
  judgement?: Partial<Judgement>;
}

const sweepEvery = 60_000;
const heldEvery = 250;

let lastId = 0;

export function createTailer(options: TailOptions, env: TailEnv): Tailer {
  return new FileTailer(options, env);
}

class FileTailer implements Tailer, Context {
  readonly options: TailOptions;
  readonly fs: Fs;
  readonly clock: Clock;
  readonly random: Random;
  readonly registry = new Registry();
  readonly descriptors: Descriptors;
  readonly discovery: Discovery;
  readonly timing: Timing;
  readonly judgement: Judgement;
  readonly #arrivals: Arrivals;
  readonly #rotation: Rotation;
  readonly #poller: Poller;
  readonly #scout: Scout;
  readonly #reader: Reader;
  readonly #rate: RateLimit;
  readonly #watch: DirectoryWatch;
  readonly #busy: BusyDirectories;
  #ready: FollowedFile[] = [];
  /** Says that the input's first scan is over; its state is what makes a later unknown file start at its beginning. */
  readonly #scanMark: FollowedFile;
  #onEvent: (event: TailEvent) => void = () => {};
  #onWake: () => void = () => {};
  #nextSweep = 0;
  #nextHeld = 0;
  #closed = false;

  constructor(options: TailOptions, env: TailEnv) {
    this.options = options;
    this.fs = env.fs;
    this.clock = env.clock;
    this.random = env.random;
    this.timing = { ...defaultTiming, ...env.timing };
    this.judgement = { ...judgement, ...env.judgement };
    this.descriptors = new Descriptors(env.fs, options.maxOpenFiles, (file) => this.#awake(file));
    this.discovery = new Discovery(env.fs, options.paths, options.exclude);
    this.#arrivals = new Arrivals(this);
    this.#rotation = new Rotation(this, this.#arrivals);
    this.#poller = new Poller(this, this.#rotation);
    this.#reader = new Reader(options, (event) => this.#onEvent(event), this.judgement);
    this.#busy = new BusyDirectories(this.registry, env.clock);
    this.#watch = new DirectoryWatch(env.fs, env.clock, options.watch && !options.once, {
      hint: (path, content) => this.#hint(path, content),
      rest: (directory) => this.#busy.rest(directory),
      busy: (directory) => this.#busy.busy(directory),
      rested: (directory) => this.#lookAtAll(directory),
    });
    this.#scout = new Scout(this, this.#arrivals, this.#watch, () => this.#onWake());
    this.#rate = new RateLimit(options.rateLimit, env.clock.monotonic());
    this.#scanMark = this.newFile("", { dev: 0, ino: 0n, birth: 0n }, 0, `${options.input}/scanned`);
    this.#scanMark.done = true;
  }

  async start(known: readonly FileState[]): Promise<void> {
    const states = known.filter((state) => state.input === this.options.input && state.key !== this.#scanMark.key);
    const scanned = known.some((state) => state.key === this.#scanMark.key);
    // Of two states with the same inode the one that knows more comes first.
    states.sort((a, b) => Number(b.fingerprint.length > 0) - Number(a.fingerprint.length > 0) || b.seen - a.seen);
    resume(
      this,
      this.#arrivals,
      states.map((state) => FollowedFile.resume(++lastId, state)),
    );
    this.#arrivals.firstScan = !scanned && states.length === 0;
    await this.#scout.start();
    this.#arrivals.firstScan = false;
    if (!scanned) this.registry.changed.add(this.#scanMark.id);
    if (this.options.once)
      for (const file of this.registry.files.values()) if (!looksEndless(file)) file.limit = file.size;
  }

  next(): Lines | null {
    if (this.#closed) return null;
    const now = this.clock.monotonic();
    this.#tend(now);
    if (this.#ready.length === 0) return null;
    const records = this.#rate.available(now);
    if (records < 1) return null;
    for (let turns = this.#ready.length; turns > 0; turns--) {
      const file = this.#ready.shift()!;
      file.queued = false;
      if (file.gone || file.done) continue;
      if (this.#blocked(file)) {
        this.enqueue(file);
        continue;
      }
      const lines = this.#take(file, now, records);
      if (lines === null) continue;
      this.#rate.take(lines.count);
      return lines;
    }
    return null;
  }

  tend(): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const now = this.clock.monotonic();
    this.#tend(now);
    return this.#tendWait(now);
  }

  wait(): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const now = this.clock.monotonic();
    let wait = this.#tendWait(now);
    if (wait > 0 && this.#ready.some((file) => !this.#blocked(file))) wait = Math.min(wait, this.#rate.wait(now));
    return wait;
  }

  onWake(f: () => void): void {
    this.#onWake = f;
  }

  settled(id: FileId, position: number): void {
    const file = this.registry.files.get(id);
    if (!file?.pending.settle(position)) return;
    if ((file.gone || file.complete) && file.settledAll) file.done = true;
    this.registry.changed.add(id);
  }

  snapshot(id: FileId): FileState | null {
    const file = id === this.#scanMark.id ? this.#scanMark : this.registry.files.get(id);
    return file && !file.fifo ? file.state() : null;
  }

  changed(): FileId[] {
    const ids = [...this.registry.changed];
    this.registry.changed.clear();
    return ids;
  }

  forgotten(): string[] {
    return this.registry.forgotten.splice(0);
  }

  file(id: FileId): TailedFile | undefined {
    const file = this.registry.files.get(id);
    return file && view(file);
  }

  *files(): Iterable<TailedFile> {
    for (const file of this.registry.files.values()) if (!file.gone) yield view(file);
  }

  get finished(): boolean {
    if (!this.options.once || this.#scout.busy) return false;
    for (const file of this.registry.files.values())
      if (!file.gone && !file.done && !file.drained && file.read < file.limit) return false;
    return true;
  }

  onEvent(f: (event: TailEvent) => void): void {
    this.#onEvent = f;
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    for (const file of this.registry.files.values()) this.descriptors.close(file);
  }

  event(level: TailEvent["level"], name: string, message: string, more: Partial<TailEvent> = {}): void {
    this.#onEvent({ level, name, message, ...more });
  }

  enqueue(file: FollowedFile): void {
    if (file.queued || file.gone || file.complete) return;
    file.queued = true;
    this.#ready.push(file);
  }

  schedule(file: FollowedFile, interval: number): void {
    if (!this.options.once || file.fifo) this.#poller.schedule(file, interval);
  }

  park(file: FollowedFile): void {
    this.#poller.remove(file);
  }

  look(file: FollowedFile): void {
    if (file.looking) return;
    this.#poller.look(file, this.clock.monotonic());
    if (file.attached && !file.complete) this.#rotation.verify(file);
  }

  watched(path: string): boolean {
    return this.options.watch && this.fs.traits(path).stable && this.#watch.covers(directoryOf(path));
  }

  discoverSoon(): void {
    this.#scout.soon();
  }

  newFile(path: string, identity: Identity, position: number, key = this.#newKey()): FollowedFile {
    const file = new FollowedFile({ id: ++lastId, key, input: this.options.input, path, identity, position, line: 1 });
    file.lastData = this.clock.monotonic();
    file.lastLook = this.clock.now();
    return file;
  }

  #tend(now: number): void {
    if (now >= this.#nextSweep) this.#sweep(now);
    this.#poller.run(now);
    if (!this.options.once) this.#scout.run(now);
    if (this.options.maxHeldBytes > 0 && now >= this.#nextHeld) {
      this.#nextHeld = now + heldEvery;
      this.#rotation.limitHeld(this.options.maxHeldBytes);
    }
  }

  #tendWait(now: number): number {
    let wait = this.#poller.wait(now);
    if (!this.options.once) wait = Math.min(wait, this.#scout.wait(now));
    return wait;
  }

  /** Waits for the generation before to be drained. */
  #blocked(file: FollowedFile): boolean {
    const { after } = file;
    if (after === null) return false;
    if (
      !after.drained &&
      !after.gone &&
      !after.done &&
      !after.unreadable &&
      !after.starved &&
      this.registry.files.has(after.id)
    )
      return true;
    file.after = null;
    return false;
  }

  #take(file: FollowedFile, now: number, records: number): Lines | null {
    try {
      const opened = this.descriptors.open(file);
      if (opened === "missing" || opened === "other") {
        if (file.attached) this.look(file);
        else this.#rotation.search(file);
        return null;
      }
      if (opened === "full" || !file.source) {
        this.schedule(file, this.options.pollMin);
        file.mtime = -1; // the next look finds it changed
        file.starved = true;
        return null;
      }
      file.starved = false;
      file.growing = false;
      if (this.#unseenContent(file)) {
        this.look(file);
        return null;
      }
      const ready = this.#reader.prepare(file, file.source);
      const result = ready === "ready" ? this.#read(file, now, records) : ready;
      if (result === "later") return null;
      file.unreadable = false;
      if (result === "changed") {
        const size = file.source.size();
        this.#rotation.truncated(file, size);
        return null;
      }
      file.verifiedAt = this.clock.now();
      if (result === "end") return this.#ended(file);
      file.growing = true;
      file.lastData = now;
      this.schedule(file, this.options.pollMin);
      // What else it may hold by now the next look brings: not worth a read that most likely finds nothing.
      file.drained = file.exhausted && !this.options.once && file.source instanceof PlainSource;
      if (!file.drained) this.enqueue(file);
      return result;
    } catch (error) {
      this.#poller.trouble(file, "read", error);
      return null;
    }
  }

  /** Was it empty when last seen? Then the look comes before the read: what came before this may be left only in a copy. */
  #unseenContent({ attached, size, read, source }: FollowedFile): boolean {
    return attached && size === 0 && read === 0 && source instanceof PlainSource && source.size() > 0;
  }

  #read(file: FollowedFile, now: number, records: number) {
    const { multiline, once } = this.options;
    const flushGroup =
      multiline !== null && (once || file.source!.closed || now - file.lastData >= multiline.timeoutMs);
    const { final } = file;
    file.final = this.judgement.isFinal(file, file.source!);
    const result = this.#reader.read(file, file.source!, { records, flushGroup });
    file.final = final;
    return result;
  }

  #ended(file: FollowedFile): null {
    file.drained = true;
    if (file.source?.closed) {
      file.complete = true;
      this.descriptors.close(file);
      if (file.settledAll) {
        file.done = true;
        this.registry.changed.add(file.id);
      }
    } else if (file.openGroup) this.schedule(file, this.options.multiline!.timeoutMs);
    if (this.options.once && file.limit > file.read && file.limit !== Number.POSITIVE_INFINITY)
      this.event(
        "info",
        "unterminated-line",
        `${file.limit - file.read} bytes at the end of ${file.path} are not a complete line`,
        { path: file.path, file: file.id, bytes: file.limit - file.read },
      );
    return null;
  }

  /** Forgets files that are gone for long. */
  #sweep(now: number): void {
    this.#nextSweep = now + sweepEvery;
    const oldest = this.clock.now() - this.timing.retention;
    for (const file of this.registry.files.values())
      if (file.gone && file.settledAll && file.lastLook < oldest) this.registry.forget(file);
  }

  #hint(path: string | null, content: boolean): void {
    if (this.#closed) return;
    const file = path === null ? undefined : this.registry.byPath.get(path);
    if (file) this.#poller.hint(file, !content);
    else if (path === null || this.discovery.concerns(path)) this.discoverSoon();
    else return;
    this.#onWake();
  }

  #lookAtAll(directory: string): void {
    if (this.#closed) return;
    for (const file of this.#busy.filesIn(directory)) this.#poller.hint(file);
    this.#scout.again();
    this.#onWake();
  }

  #awake(file: FollowedFile): void {
    this.enqueue(file);
    this.#onWake();
  }

  #newKey(): string {
    const part = () =>
      Math.floor(this.random() * 2 ** 48)
        .toString(16)
        .padStart(12, "0");
    return part() + part();
  }
}

function looksEndless(file: FollowedFile): boolean {
  return file.fifo || file.codec !== null;
}

function view(file: FollowedFile): TailedFile {
  return {
    id: file.id,
    input: file.input,
    path: file.path,
    read: file.read,
    position: file.position,
    size: Math.max(file.size, file.read),
  };
}
