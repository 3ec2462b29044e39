/** Drives a tailer over the real file system into a sink in memory, with the journal in memory too. */
import type { Lines } from "../../src/lines.ts";
import { type Clock, systemClock } from "../../src/runtime.ts";
import type { FileState } from "../../src/state/types.ts";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { createTailer, type TailEnv } from "../../src/tail/tailer.ts";
import type { TailEvent, Tailer, TailOptions } from "../../src/tail/types.ts";

export const defaults: TailOptions = {
  input: "test",
  paths: [],
  exclude: [],
  followLinks: "safe",
  from: "end",
  once: false,
  reopen: true,
  maxLineBytes: 1_000_000,
  tooLong: "split",
  trimCr: false,
  encoding: "utf-8",
  multiline: null,
  include: null,
  excludeLines: null,
  rateLimit: 0,
  pollMin: 2,
  pollMax: 50,
  watch: false,
  maxHeldBytes: 0,
  maxOpenFiles: 100,
};

export class Follower {
  seen: string[] = [];
  /** Path and line number of each record seen. */
  where: { path: string; line: number; offset: number }[] = [];
  events: TailEvent[] = [];
  journal = new Map<string, FileState>();
  tailer!: Tailer;
  /** False: handed-out chunks stay unsettled until `settleAll`. */
  settling = true;
  readonly unsettled: { file: number; to: number }[] = [];
  readonly #options: TailOptions;
  readonly #fs: Fs;
  readonly #clock: Clock;
  readonly #more: Partial<TailEnv>;

  constructor(options: Partial<TailOptions>, fs: Fs = nodeFs, clock: Clock = systemClock, more: Partial<TailEnv> = {}) {
    this.#more = more;
    this.#options = { ...defaults, ...options };
    this.#fs = fs;
    this.#clock = clock;
  }

  static async start(
    options: Partial<TailOptions>,
    fs?: Fs,
    clock?: Clock,
    more?: Partial<TailEnv>,
  ): Promise<Follower> {
    const follower = new Follower(options, fs, clock, more);
    await follower.restart();
    return follower;
  }

  /** Starts a tailer with the states of the journal. */
  async restart(): Promise<void> {
    this.tailer = createTailer(this.#options, {
      fs: this.#fs,
      clock: this.#clock,
      random: Math.random,
      ...this.#more,
    });
    this.tailer.onEvent((event) => this.events.push(event));
    // What a journal holds has been through JSON.
    await this.tailer.start(JSON.parse(JSON.stringify([...this.journal.values()])));
    this.checkpoint();
  }

  /** One call of `next`; true if it gave something. */
  step(): boolean {
    const lines = this.tailer.next();
    if (lines) {
      this.take(lines);
      this.unsettled.push({ file: lines.file, to: lines.to });
      if (this.settling) this.settleAll();
    }
    return lines !== null;
  }

  take(lines: Lines): void {
    const path = this.tailer.file(lines.file)?.path ?? "?";
    for (let i = 0; i < lines.count; i++) {
      this.seen.push(Buffer.from(lines.bytes.subarray(lines.starts[i], lines.ends[i])).toString());
      const line = lines.lineNumber + (lines.lineOffsets ? lines.lineOffsets[i]! : i);
      this.where.push({ path, line, offset: lines.base + (i === 0 ? 0 : lines.nexts[i - 1]!) });
    }
  }

  settleAll(): void {
    for (const { file, to } of this.unsettled.splice(0)) this.tailer.settled(file, to);
  }

  checkpoint(): void {
    for (const id of this.tailer.changed()) {
      const state = this.tailer.snapshot(id);
      if (state) this.journal.set(state.key, state);
    }
    for (const key of this.tailer.forgotten()) this.journal.delete(key);
  }

  /** Runs until `n` lines were seen; fails after 30 s. */
  async lines(n: number): Promise<void> {
    await this.until(
      () => this.seen.length >= n,
      () => `${n} lines; got ${this.seen.length}: ${this.seen.slice(-5).join(" | ")}`,
    );
  }

  async event(name: string): Promise<void> {
    await this.until(
      () => this.events.some((event) => event.name === name),
      () => `event ${name}; got ${this.events.map((e) => e.name)}`,
    );
  }

  async until(condition: () => boolean, what: () => string): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!condition()) {
      if (this.step()) continue;
      if (performance.now() > deadline) throw new Error(`waited 30 s for ${what()}`);
      await new Promise((resolve) => setTimeout(resolve, Math.min(5, this.tailer.wait())));
    }
  }

  /** Runs on for `ms`, so that what must not come could come. */
  async quiet(ms = 150): Promise<void> {
    const end = performance.now() + ms;
    while (performance.now() < end) if (!this.step()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /** A clean stop: everything handed out is settled and in the journal. */
  stop(): void {
    this.settleAll();
    this.checkpoint();
    this.tailer.close();
  }

  /** kill -9: what was not in the journal at the last checkpoint is lost. */
  kill(): void {
    this.unsettled.length = 0;
    this.tailer.close();
  }
}
