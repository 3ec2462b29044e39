/**
 * A producer whose batches wait for `cut` and travel only within `send`. The transaction itself (its identity, partitions,
 * offsets and end) is the caller's; see `transactions/coordinator.ts`.
 */

import { codes, KafkaError } from "../protocol/errors.ts";
import { BaseProducer } from "./base-producer.ts";
import { partitionGone } from "./events.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { ProducerStamp, RecordBatch } from "./producer-batch.ts";
import type { SenderHooks } from "./sender.ts";
import type { Cut, TransactionalSink } from "./sink.ts";

/** How long a topic may be missing before the transaction is given up, milliseconds: brokers that start forget for a moment. */
const missingPatience = 3000;

class TransactionCut implements Cut {
  batches: RecordBatch[];
  /** Not answered yet. */
  readonly waiting: Set<RecordBatch>;

  constructor(batches: RecordBatch[]) {
    this.batches = batches;
    this.waiting = new Set(batches);
  }

  get size(): number {
    return this.batches.reduce((sum, { size }) => sum + size, 0);
  }
}

interface Sending {
  cut: TransactionCut;
  error: KafkaError | null;
  /** Monotonic milliseconds since when batches of it wait for a topic that is missing. */
  missingSince?: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class TransactionalProducer extends BaseProducer implements TransactionalSink {
  private identity: ProducerStamp | null = null;
  /** Closed since the last cut. */
  private next: RecordBatch[] = [];
  private sending: Sending | null = null;
  /** Not released. */
  private readonly cuts = new Set<TransactionCut>();
  /** Partitions that are gone while a request to them may still be under way. */
  private gone: PartitionQueue[] = [];
  /** Batches that were cut or wait to be, not released. */
  private held = 0;
  private waiters: (() => void)[] = [];

  protected override hooks(): SenderHooks {
    return {
      event: (event) => this.event(event),
      done: (batch, outcome) => {
        batch.outcome = outcome;
        this.sending?.cut.waiting.delete(batch);
      },
      split: (batch, parts) => {
        const cut = this.sending?.cut;
        if (!cut) return;
        cut.batches.splice(cut.batches.indexOf(batch), 1, ...parts);
        cut.waiting.delete(batch);
        for (const part of parts) cut.waiting.add(part);
        this.held += parts.length - 1;
      },
      aborted: (error) => this.abort(error),
      partitionsGone: (queues) => this.partitionsGone(queues),
      topicMissing: (topic) => this.topicMissing(topic),
      newProducer: () => new Promise(() => {}),
      producer: () => (this.sending && !this.sending.error ? this.identity : null),
      ended: () => this.checkSending(),
    };
  }

  protected override closed(batch: RecordBatch, _queue: PartitionQueue): void {
    this.held++;
    this.next.push(batch);
  }

  protected override async prepareProducer(): Promise<void> {}

  setProducer(producer: { id: bigint; epoch: number }): void {
    this.identity = { ...producer, transactional: true };
    for (const queue of this.queues()) queue.producer = null;
    // A transaction may have failed because topics changed.
    if (this.cuts.size > 0) this.sender.refreshMetadata();
  }

  /** A transaction under way is aborted, and its batches go elsewhere in the next; see `TopicState.substitute`. */
  private partitionsGone(queues: readonly PartitionQueue[]): void {
    for (const queue of queues) {
      this.accumulator.close(queue);
      this.event(partitionGone(queue, this.accumulator.topic(queue.topic).substitute(queue.partition)));
    }
    this.gone.push(...queues);
    this.moveBatches(this.next);
    for (const cut of this.cuts) if (cut !== this.sending?.cut) this.moveBatches(cut.batches);
    if (!this.sending) return;
    const what = "producing in a transaction to partitions that are gone";
    this.abort(new KafkaError(codes.UNKNOWN_TOPIC_OR_PARTITION, what));
    this.checkSending();
  }

  /** What is sent to a topic that does not come back must not hold up the rest of its transaction. */
  private topicMissing(topic: string): void {
    const { sending } = this;
    if (!sending) return;
    if (![...sending.cut.waiting].some((batch) => batch.topic === topic)) return;
    const now = this.clock.monotonic();
    sending.missingSince ??= now;
    if (now - sending.missingSince < missingPatience) return;
    this.abort(new KafkaError(codes.UNKNOWN_TOPIC_OR_PARTITION, `producing to topic "${topic}" in a transaction`));
    this.checkSending();
  }

  private abort(error: KafkaError): void {
    if (this.sending) this.sending.error ??= error;
    this.sender.aborting = true;
  }

  private moveBatches(batches: readonly RecordBatch[]): void {
    for (const batch of batches) {
      const topic = this.accumulator.topic(batch.topic);
      if (batch.partition < topic.partitions.length) continue;
      batch.partition = topic.substitute(batch.partition).partition;
      batch.unresolved = false;
    }
  }

  private *queues(): Generator<PartitionQueue> {
    yield* this.gone;
    for (const topic of this.accumulator.topics.values()) yield* topic.partitions;
  }

  cut(without: ReadonlySet<string> = new Set()): Cut | null {
    this.accumulator.closeAll(without);
    const batches = this.next.filter(({ topic }) => !without.has(topic));
    if (batches.length === 0) return null;
    const cut = new TransactionCut(batches);
    this.next = this.next.filter(({ topic }) => without.has(topic));
    this.cuts.add(cut);
    return cut;
  }

  takeOut(cut: Cut, topics: ReadonlySet<string>): void {
    if (!(cut instanceof TransactionCut)) throw new TypeError("changing a cut that this sink did not make");
    if (this.sending?.cut === cut) throw new Error("changing a cut that is being sent");
    const out = cut.batches.filter(({ topic }) => topics.has(topic));
    cut.batches = cut.batches.filter(({ topic }) => !topics.has(topic));
    for (const batch of out) cut.waiting.delete(batch);
    this.next.unshift(...out);
  }

  async missingTopics(cut: Cut): Promise<ReadonlySet<string>> {
    const topics = new Set(cut.batches.map(({ topic }) => topic));
    try {
      this.sender.applyMetadata(await this.client.metadata([...topics]));
    } catch (error) {
      this.log.debug("looking for missing topics", { error: (error as Error).message });
      return new Set();
    }
    return new Set([...topics].filter((topic) => this.isMissing(topic)));
  }

  isMissing(topic: string): boolean {
    return this.accumulator.topic(topic).missing;
  }

  send(cut: Cut): Promise<void> {
    if (!(cut instanceof TransactionCut)) throw new TypeError("sending a cut that this sink did not make");
    if (this.sending) throw new Error("sending a cut while another one is being sent");
    if (!this.identity) throw new Error("sending a cut before setProducer");
    return new Promise((resolve, reject) => {
      this.sending = { cut, error: null, resolve, reject };
      for (const batch of cut.batches) {
        if (batch.outcome?.kind === "dropped") continue;
        batch.outcome = null;
        cut.waiting.add(batch);
        const queue = this.accumulator.topic(batch.topic).partitions[batch.partition] as PartitionQueue;
        queue.queue.push(batch);
        this.sender.active.add(queue);
      }
      this.sender.pump();
      this.checkSending();
    });
  }

  private checkSending(): void {
    const { sending } = this;
    if (!sending) return;
    if (!sending.error && sending.cut.waiting.size > 0) return;
    if (sending.error) {
      for (const queue of this.queues()) if (queue.inFlight > 0) return;
      for (const queue of this.queues()) queue.clear();
      sending.cut.waiting.clear();
      this.moveBatches(sending.cut.batches);
      this.gone = [];
    }
    this.sending = null;
    this.sender.aborting = false;
    if (sending.error) sending.reject(sending.error);
    else sending.resolve();
  }

  release(cut: Cut): void {
    if (!(cut instanceof TransactionCut)) throw new TypeError("releasing a cut that this sink did not make");
    for (const batch of cut.batches) {
      this.held--;
      this.settle(batch, batch.outcome ?? { kind: "acked", offset: -1n, timestamp: -1 });
    }
    cut.batches = [];
    this.cuts.delete(cut);
    if (this.isEmpty) for (const wake of this.waiters.splice(0)) wake();
  }

  private get isEmpty(): boolean {
    return this.held === 0 && this.accumulator.openQueues.size === 0;
  }

  /** Only waits: the caller makes the cuts. */
  override async flush(deadline: number): Promise<boolean> {
    if (this.isEmpty) return true;
    return new Promise((resolve) => {
      const cancel = this.clock.after(deadline, () => resolve(false));
      this.waiters.push(() => {
        cancel();
        resolve(true);
      });
    });
  }
}
