/** Follows the files of one input: discover → poll → read → lines. One chunk per call of `next`. */
import type { FileId, Lines } from "../lines.ts";
import type { Clock, Random } from "../runtime.ts";
import type { FileState } from "../state/types.ts";
import { linkRule } from "./discovery/paths.ts";
import { Discovery } from "./discovery/walk.ts";
import { type Judgement, judgement } from "./files/decisions.ts";
import type { DescriptorBudget } from "./files/descriptor-budget.ts";
import { Descriptors } from "./files/descriptors.ts";
import { FollowedFile, newKey } from "./files/file.ts";
import { Registry, view } from "./files/registry.ts";
import { Troubles } from "./files/troubles.ts";
import { AwaitedMounts } from "./files/unreachable-mounts.ts";
import { CheckedFs } from "./fs/checked-fs.ts";
import type { Fs, Stat } from "./fs/fs.ts";
import type { Identity } from "./identity/identity.ts";
import { Hints } from "./poll/events.ts";
import { Poller } from "./poll/poller.ts";
import { RateLimit } from "./poll/rate-limit.ts";
import { Turns } from "./poll/read-queue.ts";
import { Scout } from "./poll/scan-schedule.ts";
import { probe } from "./rotation/compare.ts";
import { type Context, defaultTiming, type Timing } from "./rotation/context.ts";
import { type FileClaims, ForeignFiles, noClaims } from "./rotation/foreign-files.ts";
import { Arrivals } from "./rotation/new-paths.ts";
import { resume } from "./rotation/resume.ts";
import { Rotation } from "./rotation/rotation.ts";
import { holderOf, holds } from "./rotation/same-file.ts";
import type { TailEvent, TailedFile, Tailer, TailOptions } from "./types.ts";

export interface TailEnv {
  fs: Fs;
  clock: Clock;
  random: Random;
  /** Absolute paths of the agent's own state; no glob follows them or what is named for them. */
  own?: readonly string[];
  /** What the inputs of the same topic tell each other. */
  claims?: FileClaims;
  /** Of all tailers of the process. */
  budget?: DescriptorBudget;
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
  readonly registry: Registry;
  readonly descriptors: Descriptors;
  readonly discovery: Discovery;
  readonly awaited: AwaitedMounts;
  readonly troubles = new Troubles((...event) => this.event(...event));
  readonly foreign: ForeignFiles;
  readonly timing: Timing;
  readonly judgement: Judgement;
  readonly #arrivals: Arrivals;
  readonly #rotation: Rotation;
  readonly #poller: Poller;
  readonly #scout: Scout;
  readonly #turns: Turns;
  readonly #rate: RateLimit;
  readonly #hints: Hints;
  /** Says that the input's first scan is over; its state is what makes a later unknown file start at its beginning. */
  readonly #scanMark: FollowedFile;
  #onEvent: (event: TailEvent) => void = () => {};
  #onWake: () => void = () => {};
  #nextSweep = 0;
  #nextHeld = 0;
  #closed = false;

  constructor(options: TailOptions, env: TailEnv) {
    this.options = options;
    const rule = linkRule(env.fs, options.paths, { follow: options.followLinks, own: env.own ?? [] });
    this.fs = new CheckedFs(env.fs, rule);
    this.clock = env.clock;
    this.random = env.random;
    this.timing = { ...defaultTiming, ...env.timing };
    this.judgement = { ...judgement, ...env.judgement };
    this.descriptors = new Descriptors(this.fs, options.maxOpenFiles, (file) => this.#awake(file), env.budget);
    this.discovery = new Discovery(this.fs, options.paths, options.exclude, rule);
    this.foreign = new ForeignFiles(this, env.claims ?? noClaims);
    this.registry = new Registry((inode) => env.claims?.claim(inode));
    this.awaited = new AwaitedMounts(this.fs);
    this.#arrivals = new Arrivals(this);
    this.#rotation = new Rotation(this, this.#arrivals);
    this.#poller = new Poller(this, this.#rotation);
    this.#turns = new Turns(this, this.#rotation, this.#poller);
    const wake = () => {
      if (!this.#closed) this.#onWake();
    };
    this.#hints = new Hints(this, this.#poller, () => this.#scout.again(), wake);
    this.#scout = new Scout(this, this.#arrivals, this.#hints.watch, wake);
    this.#rate = new RateLimit(options.rateLimit, env.clock.monotonic());
    this.#scanMark = this.newFile("", { dev: 0, ino: 0n, birth: 0n }, 0, `${options.input}/scanned`);
    this.#scanMark.done = true;
  }

  async start(known: readonly FileState[], held: ReadonlyMap<string, number> = new Map()): Promise<void> {
    const states = known.filter((state) => state.input === this.options.input && state.key !== this.#scanMark.key);
    const scanned = known.some((state) => state.key === this.#scanMark.key);
    // Of two states with the same inode the one that knows more comes first.
    states.sort((a, b) => Number(b.fingerprint.length > 0) - Number(a.fingerprint.length > 0) || b.seen - a.seen);
    const files = states.map((state) => FollowedFile.resume(++lastId, state));
    const answers = this.awaited.resume(this, files, (group) => {
      if (!this.#closed) resume(this, this.#arrivals, group, held);
    });
    // Of states that are forgotten by now.
    for (const [key, fd] of held) if (!files.some((file) => file.key === key)) this.fs.close(fd);
    for (const answer of answers)
      answer.then(() => {
        this.#scout.soon();
        this.#onWake();
      });
    if (this.options.once) await this.awaited.need(this, answers);
    this.#arrivals.firstScan = !scanned && states.length === 0;
    this.#arrivals.starting = true;
    await this.#scout.start();
    this.#arrivals.starting = false;
    this.#arrivals.firstScan = false;
    if (!scanned) this.registry.changed.add(this.#scanMark.id);
    if (this.options.once)
      for (const file of this.registry.files.values()) if (!file.fifo && file.codec === null) file.limit = file.size;
  }

  next(): Lines | null {
    if (this.#closed) return null;
    const now = this.clock.monotonic();
    this.#tend(now);
    if (this.#turns.none) return null;
    const records = this.#rate.available(now);
    const lines = records < 1 ? null : this.#turns.next(now, records);
    if (lines !== null) this.#rate.take(lines.count);
    return lines;
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
    if (wait > 0 && this.#turns.waiting) wait = Math.min(wait, this.#rate.wait(now));
    return wait;
  }

  onWake(f: () => void): void {
    this.#onWake = f;
  }

  settled(id: FileId, position: number): void {
    const file = this.registry.files.get(id);
    if (!file?.pending.settle(position)) return;
    if ((file.gone || file.complete) && file.settledAll) file.done = true;
    if (file.settledAll && this.#turns.tryStarved()) this.#onWake();
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

  holding(path: string, stat: Stat): (() => number) | null {
    const file = holderOf(this, path, stat);
    if (file === null || (file.gone && file.read === 0)) return null;
    return probe(this, () => holds(this, file, path, stat)) ? () => file.read : null;
  }

  get leaves(): boolean {
    return this.foreign.any;
  }

  knows(inode: string): boolean {
    return this.registry.hasInode(inode);
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

  handOver(): ReadonlyMap<string, number> {
    const held = new Map<string, number>();
    for (const file of this.registry.files.values()) {
      if (file.attached || file.gone || file.done) continue;
      const fd = this.descriptors.giveAway(file);
      if (fd !== null) held.set(file.key, fd);
    }
    return held;
  }

  close(): void {
    this.#closed = true;
    this.#hints.watch.close();
    for (const file of this.registry.files.values()) this.descriptors.close(file);
    this.descriptors.leave();
  }

  event(level: TailEvent["level"], name: string, message: string, more: Partial<TailEvent> = {}): void {
    this.#onEvent({ level, name, message, ...more });
  }

  enqueue(file: FollowedFile): void {
    this.#turns.enqueue(file);
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
    return this.#hints.watched(path);
  }

  discoverSoon(): void {
    this.#scout.soon();
  }

  newFile(path: string, identity: Identity, position: number, key = newKey(this.random)): FollowedFile {
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

  /** Forgets files that are gone for long. */
  #sweep(now: number): void {
    this.#nextSweep = now + sweepEvery;
    const oldest = this.clock.now() - this.timing.retention;
    this.registry.forgetBefore(oldest);
  }

  #awake(file: FollowedFile): void {
    this.enqueue(file);
    this.#onWake();
  }
}
