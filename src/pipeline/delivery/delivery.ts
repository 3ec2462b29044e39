import type { Batch, Outcome, Sink } from "../../kafka/producer/sink.ts";
import type { FileState } from "../../state/types.ts";
import type { Delta } from "../checkpoint/dirty-files.ts";
import type { Positions } from "../checkpoint/positions.ts";

/** How acknowledgements become checkpoints: the difference between at-least-once and exactly-once. */
export interface Delivery {
  readonly sink: Sink;
  /**
   * Finds the checkpoint that is true and returns its files. Exactly-once asks the brokers, after `connected`; throws
   * LogagentError STATE_MISMATCH or FENCED.
   */
  open(connected: Promise<void>): Promise<ReadonlyMap<string, FileState>>;
  /** Writes checkpoints, the first one at once, until `stop`. Rejects when the agent cannot go on. */
  run(source: CheckpointSource): Promise<void>;
  /** True while more may be appended for the topic. */
  hasRoom(topic: string): boolean;
  /** Called when room came back after `hasRoom` was false. */
  onRoom(f: () => void): void;
  /** `bytes` of a file were appended to the sink. */
  appended(topic: string, bytes: number): void;
  /** No lines come any more: what was appended need not wait for others. */
  finish(): void;
  /**
   * Waits at most `timeout` ms until everything appended is settled, then writes the last checkpoint. Null, or what
   * became of the bytes that are not settled, as the rest of a sentence about them.
   */
  stop(timeout: number): Promise<string | null>;
}

/** For `Delivery.stop`. */
export function late(timeout: number): string {
  return `were not acknowledged within ${timeout} ms`;
}

/** Where checkpoints come from. */
export interface CheckpointSource {
  positions: Positions;
  /** What changed since the last call; null when nothing did. */
  take(): Delta | null;
  /** The checkpoint with this delta was not written. */
  putBack(delta: Delta): void;
  /** Makes durable where settled batches went and these will go: before their checkpoint is true. Throws LogagentError STATE_IO. */
  bind(batches: readonly Batch[]): Promise<void>;
  /** Told of every settled batch. */
  settled(batch: Batch, outcome: Outcome): void;
  /** All topics that the input's lines went to. */
  topicsOf(input: string): readonly string[];
  /** Topics that may be written to by now. */
  topics(): readonly string[];
}
