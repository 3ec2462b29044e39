/** What fresh metadata means for the partitions' queues: leaders, new partitions, topics that are missing or were created again. */

import type { ClusterMetadata } from "../cluster/client.ts";
import { codes, errorInfo } from "../protocol/errors.ts";
import type { Accumulator } from "./accumulator.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { PartitionRecovery } from "./partition-recovery.ts";
import type { SinkEvent } from "./sink.ts";

export interface TopicChangesHooks {
  event(event: SinkEvent): void;
  /** Each time the topic is found to be missing. */
  topicMissing?(topic: string): void;
  /** In a transaction: these partitions are gone, their batches need others. */
  partitionsGone(queues: readonly PartitionQueue[]): void;
}

export class TopicChanges {
  private readonly accumulator: Accumulator;
  private readonly recovery: PartitionRecovery;
  private readonly transactional: boolean;
  private readonly idempotent: boolean;
  private readonly hooks: TopicChangesHooks;

  constructor(
    accumulator: Accumulator,
    recovery: PartitionRecovery,
    { acks, transactionalId }: { acks: 0 | 1 | -1; transactionalId: string | null },
    hooks: TopicChangesHooks,
  ) {
    this.accumulator = accumulator;
    this.recovery = recovery;
    this.transactional = transactionalId !== null;
    this.idempotent = acks === -1;
    this.hooks = hooks;
  }

  /** True if fresher metadata is wanted: a topic that records wait for is missing. */
  apply(metadata: ClusterMetadata): boolean {
    let wanted = false;
    for (const found of metadata.topics) {
      const topic = this.accumulator.topics.get(found.name);
      if (!topic) continue;
      if (found.partitions.length === 0 && found.errorCode !== codes.NONE) {
        for (const queue of topic.partitions) queue.leader = -1;
        if (topic.memory > 0) wanted = true;
        if (!topic.missing) {
          const { name } = errorInfo(found.errorCode);
          const text = `topic "${found.name}": the broker answers ${name}; trying on`;
          this.hooks.event({ level: "warn", name: "topic-missing", message: text, topic: found.name });
        }
        topic.missing = true;
        this.hooks.topicMissing?.(found.name);
        continue;
      }
      topic.missing = false;
      const { recreated, gone } = topic.update(found);
      if (!recreated) continue;
      const text = `topic "${found.name}" was deleted and created again; its sequences start anew`;
      this.hooks.event({ level: "warn", name: "topic-recreated", message: text, topic: found.name });
      if (this.transactional) {
        if (gone.length > 0) this.hooks.partitionsGone(gone);
        continue;
      }
      for (const queue of gone) {
        queue.gone = true;
        queue.failed = true;
        this.recovery.settle(queue);
      }
      for (const queue of topic.partitions) {
        if (queue.producer === null || !this.idempotent) continue;
        queue.lostState = true;
        queue.failed = true;
        // What was sent to the old topic is gone with it.
        for (const batch of queue.unacked) batch.unresolved = false;
        this.recovery.settle(queue);
      }
    }
    return wanted;
  }
}
