import type { Batch, Outcome } from "../kafka/producer/sink.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Input } from "./inputs/input.ts";

/** What a run has done: records that were acknowledged and left out, and what it leaves for the next one. */
export class Account {
  dropped = 0;
  private readonly options: { log: Log; metrics: Metrics };
  private acknowledged = 0;
  /** Bytes; null: no file was looked at. */
  private left: number | null = null;

  constructor(options: { log: Log; metrics: Metrics }) {
    this.options = options;
  }

  settled(batch: Batch, outcome: Outcome): void {
    const { log, metrics } = this.options;
    const { topic, partition, count } = batch;
    if (outcome.kind === "acked") {
      this.acknowledged += count;
      metrics.count("records_acked_total", { topic }, count);
      metrics.count("record_bytes_acked_total", { topic }, batch.size);
      return;
    }
    this.dropped += count;
    metrics.count("records_dropped_total", { topic, error: outcome.name }, count);
    log.error("records cannot be delivered and are left out", {
      topic,
      partition,
      records: count,
      error: outcome.name,
      reason: outcome.message,
    });
  }

  /** The run ends: counts what is left in the files, at the sizes they had when they were last looked at. */
  close(inputs: Iterable<Input>): void {
    this.left = 0;
    for (const { tailer } of inputs) {
      for (const { size, position } of tailer.files()) this.left += Math.max(0, size - position);
    }
  }

  /** What was done and what was not, as a part of a sentence; null: nothing is left. */
  get unfinished(): string | null {
    if (this.left === 0) return null;
    const rest = this.left === null ? "the files were not looked at" : `${this.left} bytes of the files were not sent`;
    return `${this.acknowledged} records were acknowledged; ${rest}`;
  }
}
