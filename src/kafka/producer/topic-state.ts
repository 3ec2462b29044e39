/** What the producer knows of one topic, and the partitioners that need it. */
import type { TopicMetadata } from "../cluster/client.ts";
import { PartitionQueue } from "./partition-queue.ts";

/** Bytes after which the sticky partitioner may move on; Java's `batch.size` (KIP-794). */
const STICKY_BYTES = 16_384;

export class TopicState {
  readonly name: string;
  /** Hex; null where the broker has none. */
  id: string | null = null;
  readonly partitions: PartitionQueue[] = [];
  /** Memory held for this topic's batches, bytes. */
  memory = 0;
  /** The part of it that was sent and is not settled. */
  sentMemory = 0;
  /** `hasRoom` said no and nobody has been told of room since. */
  denied = false;
  /** The broker said of it that there is none, or that we may not see it. */
  missing = false;
  private sticky: PartitionQueue | null = null;
  private stickyBytes = 0;
  private turn = 0;

  constructor(name: string) {
    this.name = name;
  }

  /**
   * Takes over leaders and new partitions. `recreated`: the topic is another one of the same name; `gone`: partitions it
   * had and has no more, which take no records from now on.
   */
  update(metadata: TopicMetadata): { recreated: boolean; gone: PartitionQueue[] } {
    const recreated = this.id !== null && metadata.topicId !== null && this.id !== metadata.topicId;
    this.id = metadata.topicId ?? this.id;
    for (const queue of this.partitions) queue.leader = -1;
    for (const { partition, leader } of metadata.partitions) {
      for (let p = this.partitions.length; p <= partition; p++) this.partitions.push(new PartitionQueue(this.name, p));
      (this.partitions[partition] as PartitionQueue).leader = leader;
    }
    const count = Math.max(...metadata.partitions.map(({ partition }) => partition)) + 1;
    const gone = recreated ? this.partitions.splice(count) : [];
    if (this.sticky && gone.includes(this.sticky)) this.sticky = null;
    return { recreated, gone };
  }

  /**
   * Where the batches of a partition that is gone go: its number modulo the new count, which is where Java's hash puts
   * the same keys if the old count was a multiple of it. Else the order of a key may suffer; no record is lost.
   */
  substitute(partition: number): PartitionQueue {
    return this.partitions[partition % this.partitions.length] as PartitionQueue;
  }

  /** KIP-480/KIP-794 in spirit: stays with a partition for some batches, then prefers those with short queues. */
  stickyPartition(random: () => number): PartitionQueue {
    const current = this.sticky;
    if (current?.open) return current;
    if (current && this.stickyBytes < STICKY_BYTES && usable(current) && current.backlog <= 2) return current;
    this.stickyBytes = 0;
    this.sticky = this.pick(random);
    return this.sticky;
  }

  /** The sticky partition, if its open batch would wait for a leader or a retry while others could take the records. */
  slowOpenSticky(): PartitionQueue | null {
    const current = this.sticky;
    return current?.open && !usable(current) && this.partitions.some(usable) ? current : null;
  }

  /** A batch of the sticky partition was closed. */
  stickyClosed(bytes: number): void {
    this.stickyBytes += bytes;
  }

  private pick(random: () => number): PartitionQueue {
    const { partitions } = this;
    const anyUsable = partitions.some(usable);
    let longest = 0;
    for (const queue of partitions) longest = Math.max(longest, queue.backlog);
    const weight = (queue: PartitionQueue) => (anyUsable && !usable(queue) ? 0 : longest + 1 - queue.backlog);
    let rest = 0;
    for (const queue of partitions) rest += weight(queue);
    rest *= random();
    for (const queue of partitions) {
      rest -= weight(queue);
      if (rest < 0) return queue;
    }
    return (anyUsable ? partitions.find(usable) : partitions[0]) as PartitionQueue;
  }

  /** Partitions in turn, those without a leader left out while others have one. */
  nextInTurn(): PartitionQueue {
    for (let tries = this.partitions.length; ; tries--) {
      this.turn = (this.turn + 1) % this.partitions.length;
      const queue = this.partitions[this.turn] as PartitionQueue;
      if (tries <= 0 || queue.leader >= 0) return queue;
    }
  }

  randomPartition(random: () => number): PartitionQueue {
    const start = Math.floor(random() * this.partitions.length);
    for (let i = 0; i < this.partitions.length; i++) {
      const queue = this.partitions[(start + i) % this.partitions.length] as PartitionQueue;
      if (queue.leader >= 0) return queue;
    }
    return this.partitions[start] as PartitionQueue;
  }
}

const usable = (queue: PartitionQueue) => queue.leader >= 0 && queue.failures === 0;
