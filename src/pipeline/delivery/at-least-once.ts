import type { Sink } from "../../kafka/producer/sink.ts";
import type { Log } from "../../observe/log.ts";
import { Seldom } from "../../observe/log-throttle.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { Clock } from "../../runtime.ts";
import type { Journal } from "../../state/journal.ts";
import type { FileState } from "../../state/types.ts";
import { Wake } from "../wakeup.ts";
import { type CheckpointSource, type Delivery, late } from "./delivery.ts";

export interface AtLeastOnceOptions {
  sink: Sink;
  journal: Journal;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** Milliseconds between checkpoints. */
  interval: number;
}

/** Milliseconds between the first two checkpoints; doubled from one to the next up to the interval. */
const firstPause = 50;

/**
 * Positions move when Kafka has acknowledged; a checkpoint with what moved is made durable once per interval. After a
 * crash the lines behind the last checkpoint are sent again.
 */
export class AtLeastOnce implements Delivery {
  readonly sink: Sink;
  private readonly options: AtLeastOnceOptions;
  private readonly wake: Wake;
  private readonly seldom: Seldom;
  private source: CheckpointSource | null = null;
  private stopping = false;
  private failing = false;
  private running: Promise<void> = Promise.resolve();

  constructor(options: AtLeastOnceOptions) {
    this.options = options;
    this.sink = options.sink;
    this.wake = new Wake(options.clock);
    this.seldom = new Seldom(options.clock);
  }

  async open(): Promise<ReadonlyMap<string, FileState>> {
    const { journal, log } = this.options;
    if (journal.pending.length > 0) {
      log.warn("the state ends with a transaction of an exactly-once run: its lines may be sent again");
    }
    return journal.state;
  }

  run(source: CheckpointSource): Promise<void> {
    this.source = source;
    this.sink.onSettled((batch, outcome) => {
      source.positions.settleRanges(batch.ranges);
      source.settled(batch, outcome);
    });
    this.running = this.keepCheckpoints();
    return this.running;
  }

  hasRoom(topic: string): boolean {
    return this.sink.hasRoom(topic);
  }

  onRoom(f: () => void): void {
    this.sink.onRoom(f);
  }

  appended(): void {}

  finish(): void {}

  async stop(timeout: number): Promise<string | null> {
    const flushed = await this.sink.flush(timeout);
    this.stopping = true;
    this.wake.ring();
    await this.running;
    return flushed ? null : late(timeout);
  }

  private async keepCheckpoints(): Promise<void> {
    // Quickly at first: an agent that crashes again and again must not send the same lines again and again.
    for (let pause = firstPause; ; pause *= 2) {
      const last = this.stopping;
      await this.checkpoint(last);
      if (last) return;
      await this.wake.sleep(Math.min(pause, this.options.interval));
    }
  }

  private async checkpoint(last: boolean): Promise<void> {
    const { journal, log, metrics } = this.options;
    const delta = this.source?.take();
    if (!delta) return;
    const n = journal.nextNumber();
    try {
      await this.source?.bind([]);
      await journal.append({ n, base: journal.confirmed, confirmed: true, ...changes(delta) });
      metrics.count("checkpoints_total");
      if (this.failing) log.info("the state can be written again", { state: journal.path });
      this.failing = false;
      this.seldom.clear("write");
    } catch (error) {
      metrics.count("checkpoint_errors_total");
      this.source?.putBack(delta);
      this.failing = true;
      if (journal.broken || last) throw error;
      const held = this.seldom.say("write");
      if (held !== null)
        log.error(`${(error as Error).message}; trying again, after a crash more lines would be repeated`);
    }
  }
}

/** A delta as the properties of a checkpoint. */
export function changes(delta: { files: FileState[]; removed: string[] }) {
  return delta.removed.length > 0 ? delta : { files: delta.files };
}
