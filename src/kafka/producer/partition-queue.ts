/**
 * The batches of one partition on their way to the broker, and the sequence numbers of the idempotent producer (KIP-98,
 * KIP-360). Order is kept by one rule: after any failure nothing of the partition is sent until every request of it has
 * come to an end; then everything unacknowledged goes again from the first, with identical bytes and sequences.
 */
import type { Lane } from "./broker-connections.ts";
import type { ProducerStamp, RecordBatch } from "./producer-batch.ts";
import { decrementSequence, incrementSequence } from "./sequence.ts";

/** Batches in flight per partition: how many the broker remembers to recognise repeats (KIP-98). */
export const MAX_IN_FLIGHT = 5;

export class PartitionQueue {
  readonly topic: string;
  readonly partition: number;
  /** Node id; -1 while there is none. */
  leader = -1;
  /** Takes records. Not closed yet. */
  open: RecordBatch | null = null;
  /** Closed, never sent. */
  readonly queue: RecordBatch[] = [];
  /** Stamped and sent at least once, in sequence order. */
  readonly unacked: RecordBatch[] = [];
  inFlight = 0;
  /** Where its batches in flight are, or were. */
  lane: Lane | null = null;
  /** Nothing is sent until every request has ended and `recover` has run. */
  failed = false;
  /** With `failed`: the broker has lost or refused our producer state, start again with a new epoch. */
  lostState = false;
  /** The topic was created again without this partition: its batches go elsewhere once every request has ended. */
  gone = false;
  /** Monotonic milliseconds before which nothing is sent. */
  notBefore = 0;
  /** Tries that failed in a row. */
  failures = 0;
  /** Restarts with another epoch since the last acknowledgement. */
  restarts = 0;
  producer: ProducerStamp | null = null;
  nextSequence = 0;
  /**
   * One batch at a time until the broker is known to hold our producer state: a broker without it accepts any first
   * sequence, so that a second batch could overtake a refused first one.
   */
  proven = false;
  /**
   * Batches acknowledged although an earlier one still waits. Together with those in flight they stay within what the
   * broker remembers, so that the earlier one's repeat is recognised.
   */
  private overtook = 0;

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  get idle(): boolean {
    return this.unacked.length === 0 && this.queue.length === 0;
  }

  get hasWork(): boolean {
    return this.open !== null || !this.idle;
  }

  /** Batches waiting behind the ones in flight: how slow this partition is (KIP-794). */
  get backlog(): number {
    return this.queue.length + this.unacked.length;
  }

  /** Whether another batch may be sent now, given at most `window` in flight. */
  canSend(window: number, now: number): boolean {
    if (this.failed || now < this.notBefore) return false;
    return this.inFlight === 0 || this.inFlight + this.overtook < (this.proven ? window : 1);
  }

  /** Bytes of the batch that `take` would return; 0 where there is none. */
  get nextSize(): number {
    return (this.unacked.find((b) => !b.inFlight) ?? this.queue[0])?.size ?? 0;
  }

  /** The next batch to send: a repeat first. It is in flight when this returns. */
  take(): RecordBatch | undefined {
    let batch = this.unacked.find((b) => !b.inFlight);
    if (!batch) {
      batch = this.queue.shift();
      if (!batch) return undefined;
      this.stampNext(batch);
      this.unacked.push(batch);
    }
    batch.inFlight = true;
    this.inFlight++;
    return batch;
  }

  private stampNext(batch: RecordBatch): void {
    const producer = this.producer as ProducerStamp;
    if (producer.id < 0n) {
      batch.stamp(producer, -1);
      return;
    }
    batch.stamp(producer, this.nextSequence);
    this.nextSequence = incrementSequence(this.nextSequence, batch.count);
  }

  /** Starts with this identity at sequence 0. Only while nothing is unacknowledged. */
  startWith(producer: ProducerStamp, sequence = 0): void {
    this.producer = producer;
    this.nextSequence = sequence;
    this.proven = false;
  }

  /** The request that carried the batch has ended, one way or another. */
  ended(batch: RecordBatch): void {
    batch.inFlight = false;
    this.inFlight--;
  }

  /** Acknowledged: takes the batch out. */
  acknowledge(batch: RecordBatch): void {
    const at = this.unacked.indexOf(batch);
    this.unacked.splice(at, 1);
    if (at > 0) this.overtook++;
    else if (this.unacked.length === 0) this.overtook = 0;
    this.failures = 0;
    this.restarts = 0;
    this.proven = true;
  }

  /** Replaces a batch by what it was split into. */
  replace(batch: RecordBatch, parts: readonly RecordBatch[]): void {
    this.unacked.splice(this.unacked.indexOf(batch), 1, ...parts);
    for (const part of parts) part.stamp(this.producer as ProducerStamp, part.sequence);
  }

  /**
   * Takes out a batch the broker refused for good. The later ones were refused too, being out of order: they move down to
   * close the gap, as in Java's `adjustSequencesDueToFailedBatch`.
   */
  drop(batch: RecordBatch): void {
    const at = this.unacked.indexOf(batch);
    this.unacked.splice(at, 1);
    const producer = this.producer as ProducerStamp;
    if (producer.id < 0n) return;
    for (const later of this.unacked.slice(at)) {
      later.stamp(producer, decrementSequence(later.sequence, batch.count));
    }
    this.nextSequence = decrementSequence(this.nextSequence, batch.count);
  }

  /** Stamps everything unacknowledged anew from sequence 0. Only while nothing is in flight. */
  restart(producer: ProducerStamp): void {
    this.startWith(producer);
    for (const batch of this.unacked) this.stampNext(batch);
  }

  /** Puts everything back as if it had never been sent; for a transaction that was aborted. */
  clear(): RecordBatch[] {
    const all = [...this.unacked, ...this.queue];
    this.overtook = 0;
    this.unacked.length = 0;
    this.queue.length = 0;
    this.failed = false;
    this.lostState = false;
    this.failures = 0;
    this.notBefore = 0;
    return all;
  }
}
