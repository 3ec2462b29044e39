import { backoff } from "../backoff.ts";
import type { AgentConfig } from "../config/types.ts";
import { LogagentError } from "../errors.ts";
import { isOutOfTime } from "../kafka/network/connection-error.ts";
import type { Batch, Outcome } from "../kafka/producer/sink.ts";
import type { Log } from "../observe/log.ts";
import { Seldom } from "../observe/log-throttle.ts";
import type { Metrics } from "../observe/metrics.ts";
import { showPath } from "../path-text.ts";
import { type Clock, type Random, sleep } from "../runtime.ts";
import type { Journal } from "../state/journal.ts";
import type { FileState } from "../state/types.ts";
import { Account } from "./account.ts";
import { Destination } from "./checkpoint/destination.ts";
import { Ledger } from "./checkpoint/dirty-files.ts";
import { Positions } from "./checkpoint/positions.ts";
import type { Delivery } from "./delivery/delivery.ts";
import { fixedChanges } from "./fixed-settings.ts";
import type { CreateTailer } from "./inputs/input.ts";
import { sayAbsent } from "./inputs/missing-paths.ts";
import { sayShared } from "./inputs/shared-files.ts";
import { Inputs } from "./inputs/supervisor.ts";
import { Feed } from "./read-loop.ts";
import { Topics } from "./topics.ts";
import { Wake } from "./wakeup.ts";

export interface AgentOptions {
  config: AgentConfig;
  journal: Journal;
  delivery: Delivery;
  createTailer: CreateTailer;
  /** One try to reach the brokers; the cluster's id. Throws LogagentError. */
  connect: () => Promise<string | null>;
  createTopic: (topic: string, how: { partitions: number; replication: number }) => Promise<void>;
  /** Told of every settled batch. */
  onSettled?: (batch: Batch, outcome: Outcome) => void;
  /** Milliseconds from one chunk to the next, see `FeedOptions`; default 0. */
  linger?: number;
  host: string;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
}

/** Follows the inputs and delivers their lines until it is stopped or, with `once`, done. */
export class Agent {
  /** What was done, and after `run` what is left. */
  readonly account: Account;
  private readonly options: AgentOptions;
  private readonly positions = new Positions();
  private readonly wake: Wake;
  private readonly ended = new AbortController();
  private config: AgentConfig;
  private inputs: Inputs | null = null;
  private readonly destination: Destination;
  private reached = false;
  private lastProgress: number;
  private endRun: (end: { error?: unknown; deadline: number }) => void = () => {};
  private readonly runEnded: Promise<{ error?: unknown; deadline: number }>;

  constructor(options: AgentOptions) {
    this.options = options;
    this.config = options.config;
    this.account = new Account(options);
    this.wake = new Wake(options.clock);
    const { journal, log } = options;
    this.destination = new Destination({ journal, log });
    this.lastProgress = options.clock.monotonic();
    this.runEnded = new Promise((resolve) => {
      this.endRun = resolve;
    });
  }

  /**
   * Runs to the end; resolves with the exit code. Throws LogagentError for what ends the agent: STATE_MISMATCH, FENCED,
   * STATE_IO, AUTHENTICATION, BROKER_UNAVAILABLE (`once` without progress), FILE_IO (`mustExist`).
   */
  async run(): Promise<number> {
    const { delivery, config } = this.options;
    const connected = this.connect();
    connected.catch((error) => this.fail(error));
    if (config.once) this.watchProgress();
    const opened = delivery.open(connected).catch((error) => this.fail(error));
    const files = await Promise.race([opened, this.runEnded.then(() => undefined)]);
    const feed = files === undefined ? null : await this.start(files, connected);
    const { error, deadline } = await this.runEnded;
    feed?.stop();
    const unsettled = feed === null ? null : await this.finish(deadline);
    this.ended.abort();
    if (this.inputs) this.account.close(this.inputs.alive);
    this.inputs?.close();
    if (error !== undefined) throw error;
    if (unsettled !== null) {
      const text = `stopping: ${delivery.sink.buffered} bytes ${unsettled}; they will be sent by the next start`;
      throw new LogagentError("BROKER_UNAVAILABLE", text);
    }
    return config.once && this.account.dropped > 0 ? 65 : 0;
  }

  /** A clean stop: what is in flight is waited for at most `drainTimeout`. */
  stop(): void {
    this.endRun({ deadline: this.config.drainTimeout });
  }

  /** Goes over to another configuration of the inputs. Throws LogagentError when it is refused: the old one stays. */
  async reload(config: AgentConfig): Promise<void> {
    const { log, metrics } = this.options;
    if (!config.newDestination) this.destination.check(config.inputs);
    const fixed = fixedChanges(this.config, config);
    if (fixed.length > 0) {
      log.warn(`only changes of inputs take effect while the agent runs; restart it for ${fixed.join(", ")}`);
    }
    this.config = { ...this.config, inputs: config.inputs };
    await this.inputs?.apply(config.inputs);
    this.wake.ring();
    metrics.count("reloads_total", { outcome: "done" });
    log.info("the configuration was reloaded", { inputs: config.inputs.length });
  }

  /** A reason why the agent does no useful work now, or null. */
  get unready(): string | null {
    if (!this.reached) return "no broker was reached yet";
    const waiting = [...(this.inputs?.running ?? [])].find((input) => !input.ready);
    return waiting ? `topic ${waiting.config.topic} cannot be written to yet` : null;
  }

  private fail(error: unknown): undefined {
    this.endRun({ error, deadline: 0 });
    return undefined;
  }

  private async start(files: ReadonlyMap<string, FileState>, connected: Promise<void>): Promise<Feed> {
    const { delivery, clock, random, log, metrics, host, createTailer, createTopic, onSettled } = this.options;
    const { positions, wake } = this;
    const ledger = new Ledger(files);
    const fail = (error: unknown) => this.fail(error);
    const { sink } = delivery;
    const signal = this.ended.signal;
    const impatient = this.config.once;
    const topics = new Topics({ sink, clock, random, log, create: createTopic, connected, signal, impatient });
    const inputs = new Inputs({
      createTailer,
      positions,
      ledger,
      topics,
      clock,
      random,
      log,
      metrics,
      host,
      wake: wake.ring,
      onFatal: fail,
    });
    this.inputs = inputs;
    this.exportMetrics(inputs);
    const feed = new Feed({
      delivery,
      positions,
      clock,
      wake,
      linger: this.options.linger ?? 0,
      inputs: () => inputs.running,
      ending: () => inputs.ending,
      onCrash: (input, error) => inputs.crash(input, error),
      onAppend: (input, { file, count }, bytes) => {
        if (count > 0) this.destination.appended(file, input.config);
        this.lastProgress = clock.monotonic();
        metrics.count("file_read_bytes_total", { input: input.config.name }, bytes);
      },
    });
    await inputs.apply(this.config.inputs);
    const absent = sayAbsent(inputs.running, this.config, log).catch(fail);
    if (this.config.once || this.config.mustExist) await absent;
    sayShared(inputs.running, log);
    delivery
      .run({
        positions,
        take: () => {
          inputs.harvest();
          return ledger.take();
        },
        putBack: (delta) => ledger.putBack(delta),
        topics: () => topics.ready,
        topicsOf: (input) => this.destination.topicsOf(input),
        bind: (batches) => this.destination.bind(batches),
        settled: (batch, outcome) => {
          this.lastProgress = clock.monotonic();
          this.destination.settled(batch, outcome);
          this.account.settled(batch, outcome);
          onSettled?.(batch, outcome);
        },
      })
      .catch(fail);
    feed.run().catch(fail);
    if (this.config.once) this.endWhenDone(inputs);
    return feed;
  }

  private async finish(deadline: number): Promise<string | null> {
    try {
      return await this.options.delivery.stop(deadline);
    } catch (error) {
      // Either the run ended with it already, or it came only now.
      const { error: first } = await this.runEnded;
      throw first ?? error;
    }
  }

  /** Tries for ever what waiting mends. */
  private async connect(): Promise<void> {
    const { connect, clock, random, log } = this.options;
    let cluster: string | null = null;
    const seldom = new Seldom(clock);
    for (let attempt = 0; !this.ended.signal.aborted; attempt++) {
      try {
        cluster = await connect();
        if (attempt > 0) log.info("the brokers answer", { cluster });
        break;
      } catch (error) {
        if (this.ended.signal.aborted) return;
        const outOfTime = isOutOfTime(error) && !this.config.once;
        if (!(error instanceof LogagentError) || (error.code !== "BROKER_UNAVAILABLE" && !outOfTime)) throw error;
        if (seldom.say("connect") !== null) log[outOfTime ? "error" : "warn"](`${error.message}; trying again`);
      }
      await sleep(clock, backoff(attempt + 1, random, 100, 5000), this.ended.signal);
    }
    if (this.ended.signal.aborted) return;
    await this.destination.reached(cluster, this.config.inputs, this.config.newDestination);
    this.reached = true;
  }

  private async endWhenDone(inputs: Inputs): Promise<void> {
    const { clock } = this.options;
    while (!(this.reached && inputs.finished && this.positions.allIdle)) {
      if (this.ended.signal.aborted) return;
      if (this.reached && inputs.finished) this.options.delivery.finish();
      await sleep(clock, 10);
    }
    this.endRun({ deadline: this.config.timeout });
  }

  private async watchProgress(): Promise<void> {
    const { clock } = this.options;
    const { timeout } = this.config;
    while (!this.ended.signal.aborted) {
      const left = this.lastProgress + timeout - clock.monotonic();
      if (left <= 0) {
        const text = `sending the files: no progress for ${timeout} ms (--timeout); ${this.unready ?? "no acknowledgement came"}`;
        this.fail(new LogagentError("BROKER_UNAVAILABLE", text));
        return;
      }
      await sleep(clock, Math.min(left, 1000), this.ended.signal);
    }
  }

  private exportMetrics(inputs: Inputs): void {
    const { metrics, delivery } = this.options;
    const perFile = ["file_position_bytes", "file_size_bytes", "file_lag_bytes"];
    metrics.onCollect(() => {
      metrics.set("buffered_bytes", {}, delivery.sink.buffered);
      metrics.set("connected", {}, this.reached ? 1 : 0);
      metrics.remove({}, perFile);
      for (const input of inputs.alive) {
        let open = 0;
        for (const file of input.tailer.files()) {
          const labels = { input: file.input, path: showPath(file.path) };
          metrics.set("file_position_bytes", labels, file.position);
          metrics.set("file_size_bytes", labels, file.size);
          metrics.set("file_lag_bytes", labels, Math.max(0, file.size - file.position));
          open++;
        }
        metrics.set("files_open", { input: input.config.name }, open);
      }
    });
  }
}
