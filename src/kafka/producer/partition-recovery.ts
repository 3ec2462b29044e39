/** How a partition goes on after a failure: from its first batch, with parts of it, with a new epoch, or at another partition. */
import { backoff } from "../../backoff.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { Accumulator } from "./accumulator.ts";
import { batchSplit, mayRepeat, partitionGone, recordRefused } from "./events.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { ProducerStamp, RecordBatch } from "./producer-batch.ts";
import { incrementSequence } from "./sequence.ts";
import type { Outcome, SinkEvent } from "./sink.ts";
import { splitBatch } from "./split-batch.ts";
import { untimedCopy } from "./untimed-copy.ts";

export interface RecoveryHooks {
  event(event: SinkEvent): void;
  /** The batch is done: acknowledged or refused for good. It is already out of its partition's queue. */
  done(batch: RecordBatch, outcome: Outcome): void;
  /** The batch is replaced by these. */
  split(batch: RecordBatch, parts: readonly RecordBatch[]): void;
  /** A fresh identity where the one in use has come to its end; resolves when `PartitionQueue.restart` may be used. */
  newProducer(): Promise<ProducerStamp>;
}

export class PartitionRecovery {
  private readonly accumulator: Accumulator;
  private readonly active: Set<PartitionQueue>;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly hooks: RecoveryHooks & { restarted(): void };

  /** `active`: the partitions the sender looks at; `restarted`: one that waited for an identity may send again. */
  constructor(
    accumulator: Accumulator,
    active: Set<PartitionQueue>,
    clock: Clock,
    random: Random,
    hooks: RecoveryHooks & { restarted(): void },
  ) {
    this.accumulator = accumulator;
    this.active = active;
    this.clock = clock;
    this.random = random;
    this.hooks = hooks;
  }

  /** Once every request of a failed partition has ended: splits, restarts, waits, and lets it go on from the first. */
  settle(queue: PartitionQueue): void {
    if (!queue.failed || queue.inFlight > 0) return;
    if (queue.gone) {
      this.moveBatches(queue);
      return;
    }
    let mended = false;
    for (const batch of queue.unacked.filter((b) => b.refused || b.untimed)) {
      if (batch.refused) this.splitOrDrop(batch, queue);
      else this.replace(batch, queue, () => [untimedCopy(batch)]);
      mended = true;
    }
    queue.proven = false;
    queue.failed = false;
    if (queue.lostState) {
      this.restart(queue);
      return;
    }
    if (mended) return;
    queue.failures++;
    queue.notBefore = this.clock.monotonic() + backoff(queue.failures, this.random);
  }

  private splitOrDrop(batch: RecordBatch, queue: PartitionQueue): void {
    const refused = batch.refused as Extract<Outcome, { kind: "dropped" }>;
    if (batch.count === 1) {
      queue.drop(batch);
      this.hooks.event(recordRefused(batch, refused));
      this.hooks.done(batch, refused);
      return;
    }
    const { size } = batch;
    this.replace(batch, queue, () => splitBatch(batch, incrementSequence));
    this.hooks.event(batchSplit(batch, size, refused.name));
  }

  /** What `make` makes of the batch stands in for it. */
  private replace(batch: RecordBatch, queue: PartitionQueue, make: () => RecordBatch[]): void {
    const { memory } = batch;
    const parts = make();
    queue.replace(batch, parts);
    const topic = this.accumulator.topic(batch.topic);
    const more = parts.reduce((sum, part) => sum + part.memory, -memory);
    this.accumulator.account(topic, more);
    topic.sentMemory += more;
    this.hooks.split(batch, parts);
  }

  /** The batches of a partition that is gone, to the one that stands in for it, in their order. */
  private moveBatches(queue: PartitionQueue): void {
    this.accumulator.close(queue);
    const target = this.accumulator.topic(queue.topic).substitute(queue.partition);
    const batches = queue.clear();
    this.active.delete(queue);
    if (batches.length === 0) return;
    for (const batch of batches) {
      batch.partition = target.partition;
      batch.refused = null;
      // What was sent to the old topic is gone with it.
      batch.unresolved = false;
    }
    target.queue.push(...batches);
    this.active.add(target);
    this.hooks.event(partitionGone(queue, target));
  }

  /** KIP-360: a new epoch, sequences from 0. The epoch of a producer without transactions is each partition's own. */
  private restart(queue: PartitionQueue): void {
    queue.lostState = false;
    const doubtful = queue.unacked.filter(({ unresolved }) => unresolved);
    if (doubtful.length > 0) this.hooks.event(mayRepeat(doubtful, "the broker has lost the producer's state"));
    for (const batch of doubtful) batch.unresolved = false;
    const { id, epoch, transactional } = queue.producer as ProducerStamp;
    queue.restarts++;
    queue.notBefore = this.clock.monotonic() + (queue.restarts > 1 ? backoff(queue.restarts, this.random) : 0);
    if (epoch < 0x7fff && queue.restarts <= 3) {
      queue.restart({ id, epoch: epoch + 1, transactional });
      return;
    }
    queue.failed = true;
    this.hooks.newProducer().then((producer) => {
      queue.failed = false;
      queue.restart(producer);
      this.hooks.restarted();
    });
  }
}
