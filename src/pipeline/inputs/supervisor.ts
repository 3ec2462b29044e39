import { backoff } from "../../backoff.ts";
import type { InputConfig } from "../../config/types.ts";
import { messageOf } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { type Clock, type Random, sleep } from "../../runtime.ts";
import type { TailEvent, Tailer } from "../../tail/types.ts";
import type { Ledger } from "../checkpoint/dirty-files.ts";
import type { Positions } from "../checkpoint/positions.ts";
import type { Topics } from "../topics.ts";
import { type CreateTailer, eventCount, Input } from "./input.ts";
import { FileOwners } from "./shared-files.ts";

export interface InputsOptions {
  createTailer: CreateTailer;
  positions: Positions;
  ledger: Ledger;
  topics: Topics;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  host: string;
  /** Something changed: a round of the feed is due. */
  wake: () => void;
  /** What no restart of an input mends. */
  onFatal: (error: unknown) => void;
}

/** One configured input through all its runs. */
interface Supervised {
  /** What it should run with next; null: it was removed. */
  wanted: InputConfig | null;
  /** The run that is read from or drained. */
  input: Input | null;
  /** Descriptors of files without a name that the last run held, for the next one. */
  held: ReadonlyMap<string, number>;
  /** Ends the run: with an error it crashed, with null the configuration changed. */
  end: (error: unknown) => void;
}

/** Milliseconds between two looks for files that are forgotten. */
const pruneInterval = 60_000;

/** How long a run must last for the backoff to start anew, milliseconds. */
const healthy = 60_000;

/**
 * Starts, restarts and ends inputs, each apart from the others. A run that ends, for whatever reason, is first drained:
 * what it handed out is waited for, so that its successor goes on exactly there.
 */
export class Inputs {
  /** The runs that are read from. */
  running: readonly Input[] = [];
  private readonly options: InputsOptions;
  private readonly supervised = new Map<string, Supervised>();
  private readonly draining = new Set<Input>();
  private readonly owners = new FileOwners();
  private closing = false;
  private nextPrune = 0;

  constructor(options: InputsOptions) {
    this.options = options;
  }

  /** Runs that end: nothing is read from them, but what happens to their files is seen. */
  get ending(): Iterable<Input> {
    return this.draining;
  }

  /** Runs whose files count: read from or drained. */
  get alive(): Iterable<Input> {
    return [...this.running, ...this.draining];
  }

  /**
   * Makes the inputs be these. Untouched ones go on undisturbed. Resolves when the added ones had their first scan (or
   * failed at it and wait for a restart); changed and removed ones are drained in their own time.
   */
  async apply(configs: readonly InputConfig[]): Promise<void> {
    const byName = new Map(configs.map((config) => [config.name, config]));
    for (const [name, one] of this.supervised) {
      const config = byName.get(name) ?? null;
      if (one.wanted !== null && config !== null && sameConfig(one.wanted, config)) continue;
      one.wanted = config;
      one.end(null);
    }
    const added = configs.filter((config) => !this.supervised.has(config.name));
    this.owners.expect(added, (name) => this.options.ledger.of(name));
    await Promise.all(added.map((config) => this.add(config)));
  }

  /** The input's own code threw: it is started again after a while. */
  crash(input: Input, error: unknown): void {
    const one = this.supervised.get(input.config.name);
    if (one?.input === input) one.end(error ?? new Error("crashed"));
  }

  /** Takes over what changed in all files, and now and then forgets those that the tailers have forgotten. */
  harvest(): void {
    const { ledger, positions, clock } = this.options;
    const prune = clock.monotonic() >= this.nextPrune;
    if (prune) this.nextPrune = clock.monotonic() + pruneInterval;
    for (const input of this.alive) {
      try {
        ledger.harvest(input.tailer);
        if (!prune) continue;
        for (const id of positions.prune(input, (id) => input.tailer.file(id) !== undefined)) input.forget(id);
      } catch (error) {
        this.crash(input, error);
      }
    }
  }

  /** All inputs handed out everything there was at the start. */
  get finished(): boolean {
    return this.running.length === this.supervised.size && this.running.every((input) => input.tailer.finished);
  }

  /** Ends all runs without waiting for what is in flight. */
  close(): void {
    this.closing = true;
    for (const one of this.supervised.values()) {
      one.wanted = null;
      one.end(null);
      one.input?.tailer.close();
    }
    this.running = [];
  }

  private add(config: InputConfig): Promise<void> {
    return new Promise((started) => {
      const one: Supervised = { wanted: config, input: null, held: new Map(), end: () => {} };
      this.supervised.set(config.name, one);
      this.supervise(config.name, one, started).catch(this.options.onFatal);
    });
  }

  private async supervise(name: string, one: Supervised, started: () => void): Promise<void> {
    const { clock, random, log, metrics } = this.options;
    for (let crashes = 0; one.wanted !== null && !this.closing; ) {
      const since = clock.monotonic();
      const ended = new Promise<unknown>((resolve) => {
        one.end = resolve;
      });
      const crash = await this.runOnce(one.wanted, one, ended, started);
      if (crash === null || one.wanted === null || this.closing) continue;
      crashes = clock.monotonic() - since > healthy ? 1 : crashes + 1;
      const wait = backoff(crashes, random, 1000, 60_000);
      log.error("an input failed and is started again", {
        input: name,
        error: messageOf(crash),
        seconds: Math.ceil(wait / 1000),
      });
      log.debug(crash instanceof Error ? (crash.stack ?? "") : "");
      metrics.count("input_restarts_total", { input: name });
      const changed = new Promise<unknown>((resolve) => {
        one.end = resolve;
      });
      await Promise.race([sleep(clock, wait), changed]);
    }
    this.supervised.delete(name);
    metrics.remove({ input: name });
    if (!this.closing) log.info("an input was removed", { input: name });
  }

  /** One run from start to drain; the error that ended it, or null. */
  private async runOnce(
    config: InputConfig,
    one: Supervised,
    ended: Promise<unknown>,
    started: () => void,
  ): Promise<unknown> {
    const { createTailer, ledger, topics, host, wake, onFatal } = this.options;
    const { owner, claims } = this.owners.of(config);
    let tailer: Tailer | undefined;
    let input: Input;
    try {
      tailer = createTailer(config.tail, claims);
      owner.tailer = tailer;
      tailer.onEvent((event) => this.report(config.name, event));
      tailer.onWake(wake);
      input = new Input(config, host, tailer, (error) => one.end(error));
      const { held } = one;
      one.held = new Map();
      await tailer.start(ledger.of(config.name), held);
    } catch (error) {
      tailer?.close();
      owner.tailer = null;
      started();
      return error ?? new Error("the start failed");
    }
    one.input = input;
    this.running = [...this.running, input];
    started();
    topics.wait(config).then(() => {
      input.ready = true;
      wake();
    }, onFatal);
    const crash = await ended;
    this.running = this.running.filter((other) => other !== input);
    if (this.closing) return null;
    await this.drain(input);
    if (one.wanted !== null) one.held = input.tailer.handOver?.() ?? new Map();
    input.tailer.close();
    owner.tailer = null;
    one.input = null;
    return crash;
  }

  private async drain(input: Input): Promise<void> {
    const { positions, ledger, clock, log } = this.options;
    this.draining.add(input);
    while (!positions.isIdle(input) && !this.closing) await sleep(clock, 20);
    this.draining.delete(input);
    try {
      ledger.harvest(input.tailer);
    } catch (error) {
      log.warn("an input's last positions are lost: lines may be repeated", {
        input: input.config.name,
        error: (error as Error).message,
      });
    }
    positions.forgetOwner(input);
  }

  private report(input: string, event: TailEvent): void {
    const { log, metrics } = this.options;
    log[event.level](event.message, { input, path: event.path, event: event.name });
    const counted = eventCount(event);
    if (counted) metrics.count(counted.name, { input, ...counted.labels }, counted.by);
  }
}

/** Equal in everything, regular expressions by their text. */
export function sameConfig(a: InputConfig, b: InputConfig): boolean {
  const text = (config: InputConfig) =>
    JSON.stringify(config, (_, value) => (value instanceof RegExp ? String(value) : value));
  return text(a) === text(b);
}
