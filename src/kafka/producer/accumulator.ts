/**
 * Open batches: chooses the partition of each record, encodes it, keeps the books of ranges and of memory. Closed batches
 * are handed on to whoever sends them.
 */

import { LogagentError } from "../../errors.ts";
import type { Lines, Range } from "../../lines.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { Codec } from "../compression/codec.ts";
import { BufferPool } from "../record/buffer-pool.ts";
import type { Int64 } from "../record/int64.ts";
import { encodeHeaders, encodeKey } from "../record/record-encoding.ts";
import { AppendTime } from "./append-time.ts";
import { keyPartition } from "./murmur2.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import { HEADROOM, RecordBatch } from "./producer-batch.ts";
import type { Route } from "./sink.ts";
import { TopicState } from "./topic-state.ts";

export interface AccumulatorOptions {
  batchBytes: number;
  memoryBytes: number;
  compression: Codec;
  compressionLevel?: number;
  /** Bytes a topic may hold that were never sent: more only wait. Infinity in transactions, which wait for their cut. */
  unsentBytes: number;
}

/** Milliseconds after which a pooled buffer that was not needed is let go. */
const idleBuffers = 10_000;

export class Accumulator {
  readonly topics = new Map<string, TopicState>();
  /** Memory held by batches that are not settled, bytes. */
  memory = 0;
  readonly pool: BufferPool;
  readonly appendTime: AppendTime;
  private readonly options: AccumulatorOptions;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly onClosed: (batch: RecordBatch, queue: PartitionQueue) => void;
  /** Partitions that have an open batch, for linger and flush. */
  readonly openQueues = new Set<PartitionQueue>();
  private readonly roomListeners: (() => void)[] = [];
  /** The range being filled while `append` runs, and where the next one starts. */
  private range: Range | null = null;
  private rangeStart = 0;
  /** The route of the running `append` gives its records their times. */
  private timesGiven = false;
  /** Ends the wait for the pool's next trim. */
  private stopTrimming: (() => void) | null = null;

  constructor(
    options: AccumulatorOptions,
    clock: Clock,
    random: Random,
    onClosed: (batch: RecordBatch, queue: PartitionQueue) => void,
  ) {
    this.options = options;
    this.clock = clock;
    this.random = random;
    this.onClosed = onClosed;
    this.appendTime = new AppendTime(clock);
    this.pool = new BufferPool(HEADROOM + options.batchBytes, options.memoryBytes);
  }

  topic(name: string): TopicState {
    let topic = this.topics.get(name);
    if (!topic) {
      topic = new TopicState(name);
      this.topics.set(name, topic);
    }
    return topic;
  }

  /** Encodes all records of the chunk. The caller settles a chunk without records. */
  append(lines: Lines, route: Route): void {
    const topic = this.topics.get(route.topic);
    if (!topic || topic.partitions.length === 0) {
      throw new LogagentError("BUG", `appending to topic "${route.topic}": it was not prepared`);
    }
    this.range = null;
    this.rangeStart = lines.base;
    this.timesGiven = route.timestamp !== undefined;
    const perRecord = typeof route.key === "function" || typeof route.headers === "function";
    if (perRecord || route.timestamp || route.tombstone || route.partition) this.appendEach(lines, route, topic);
    else this.appendAlike(lines, route, topic);
    const last = this.range as Range | null;
    if (last) {
      last.to = lines.to;
      last.open = false;
    }
    this.range = null;
  }

  /** One key, one set of headers, one timestamp: whole runs of records are encoded at a time. */
  private appendAlike(lines: Lines, route: Route, topic: TopicState): void {
    const key = route.key as Uint8Array | null;
    const keyPart = encodeKey(key);
    const headersPart = encodeHeaders(route.headers as Exclude<Route["headers"], (...args: never) => unknown>);
    const now = this.appendTime.now();
    const single = route.partitioner === "round-robin" || route.partitioner === "random";
    for (let i = 0; i < lines.count; ) {
      const queue = this.choose(topic, route, key);
      i = this.appendRun(lines, i, single ? i + 1 : lines.count, queue, topic, keyPart, headersPart, now);
    }
  }

  private appendEach(lines: Lines, route: Route, topic: TopicState): void {
    const now = this.appendTime.now();
    const sameKey = typeof route.key === "function" ? null : encodeKey(route.key);
    const sameHeaders = typeof route.headers === "function" ? null : encodeHeaders(route.headers);
    for (let i = 0; i < lines.count; i++) {
      const key = typeof route.key === "function" ? route.key(lines, i) : route.key;
      const keyPart = sameKey ?? encodeKey(key);
      const headersPart = sameHeaders ?? encodeHeaders((route.headers as (l: Lines, i: number) => never)(lines, i));
      const timestamp = route.timestamp ? route.timestamp(lines, i) : now;
      const explicit = route.partition?.(lines, i) ?? null;
      const queue = explicit === null ? this.choose(topic, route, key) : partitionOf(topic, explicit);
      if (route.tombstone?.(lines, i)) this.appendNull(lines, i, queue, topic, keyPart, headersPart, timestamp);
      else while (this.appendRun(lines, i, i + 1, queue, topic, keyPart, headersPart, timestamp) === i);
    }
  }

  private choose(topic: TopicState, route: Route, key: Uint8Array | null): PartitionQueue {
    switch (route.partitioner) {
      case "round-robin":
        return topic.nextInTurn();
      case "random":
        return topic.randomPartition(this.random);
      case "key":
        if (key !== null) return topic.partitions[keyPartition(key, topic.partitions.length)] as PartitionQueue;
        return this.chooseSticky(topic);
      case "sticky":
        return this.chooseSticky(topic);
      default:
        return partitionOf(topic, route.partitioner);
    }
  }

  private chooseSticky(topic: TopicState): PartitionQueue {
    const slow = topic.slowOpenSticky();
    if (slow) this.close(slow);
    return topic.stickyPartition(this.random);
  }

  /** Returns the first record that was not taken because the batch was full; the batch is closed then. */
  private appendRun(
    lines: Lines,
    from: number,
    to: number,
    queue: PartitionQueue,
    topic: TopicState,
    keyPart: Uint8Array,
    headersPart: Uint8Array,
    timestamp: Int64,
  ): number {
    const batch = this.openBatch(queue);
    const before = batch.memory;
    const limit = this.options.batchBytes;
    const next = batch.appendRun(lines, from, to, keyPart, headersPart, timestamp, limit);
    this.account(topic, batch.memory - before);
    if (next > from) this.book(lines, batch, next - 1, next - from);
    if (next < to) this.close(queue);
    return next;
  }

  private appendNull(
    lines: Lines,
    i: number,
    queue: PartitionQueue,
    topic: TopicState,
    keyPart: Uint8Array,
    headersPart: Uint8Array,
    timestamp: Int64,
  ): void {
    for (;;) {
      const batch = this.openBatch(queue);
      const before = batch.memory;
      const fits = batch.appendRecord(keyPart, null, headersPart, timestamp, this.options.batchBytes);
      this.account(topic, batch.memory - before);
      if (fits) {
        this.book(lines, batch, i, 1);
        return;
      }
      this.close(queue);
    }
  }

  private openBatch(queue: PartitionQueue): RecordBatch {
    if (queue.open) return this.marked(queue.open);
    const batch = this.marked(new RecordBatch(queue.topic, queue.partition, this.pool, this.clock.monotonic()));
    queue.open = batch;
    this.openQueues.add(queue);
    this.account(this.topic(queue.topic), batch.memory);
    return batch;
  }

  private marked(batch: RecordBatch): RecordBatch {
    if (this.timesGiven) batch.timesGiven = true;
    return batch;
  }

  private book(lines: Lines, batch: RecordBatch, last: number, count: number): void {
    this.range ??= { file: lines.file, from: this.rangeStart, to: this.rangeStart, pending: 0, open: true };
    batch.addRange(this.range, count);
    this.range.to = lines.base + (lines.nexts[last] as number);
  }

  /** Closes the partition's open batch and hands it on; a range that is being filled ends with it. */
  close(queue: PartitionQueue): void {
    const batch = queue.open;
    if (!batch) return;
    queue.open = null;
    this.openQueues.delete(queue);
    const range = this.range;
    if (range && batch.ranges[batch.ranges.length - 1] === range) {
      range.open = false;
      this.rangeStart = range.to;
      this.range = null;
    }
    const topic = this.topic(queue.topic);
    topic.stickyClosed(batch.size);
    const before = batch.memory;
    batch.compress(this.options.compression, this.options.compressionLevel);
    this.account(topic, batch.memory - before);
    this.onClosed(batch, queue);
  }

  /** Closes all open batches but those of the topics `except`. */
  closeAll(except?: ReadonlySet<string>): void {
    for (const queue of [...this.openQueues]) if (!except?.has(queue.topic)) this.close(queue);
  }

  account(topic: TopicState, bytes: number): void {
    topic.memory += bytes;
    this.memory += bytes;
  }

  /** Gives a settled batch's memory back. */
  free(batch: RecordBatch): void {
    const topic = this.topic(batch.topic);
    if (batch.firstSentAt >= 0) topic.sentMemory -= batch.memory;
    this.account(topic, -batch.memory);
    batch.free();
    this.stopTrimming ??= this.clock.after(idleBuffers, () => this.trim());
  }

  private trim(): void {
    this.stopTrimming = this.pool.trim() ? this.clock.after(idleBuffers, () => this.trim()) : null;
  }

  /** Nothing is appended any more. */
  stop(): void {
    this.stopTrimming?.();
    this.stopTrimming = () => {}; // and no other begins
  }

  /**
   * A topic may use three times what the others leave free, and always a small share of its own, so that topics that are
   * stuck cannot fill the memory (dynamic thresholds, Choudhury and Hahne 1998).
   */
  hasRoom(name: string): boolean {
    const topic = this.topic(name);
    const room = this.fits(topic);
    if (!room) topic.denied = true;
    return room;
  }

  private fits(topic: TopicState): boolean {
    const cap = this.options.memoryBytes;
    if (topic.memory === 0) return true;
    if (topic.memory - topic.sentMemory >= this.options.unsentBytes) return false;
    if (this.topics.size === 1) return this.memory < cap;
    return topic.memory < 3 * (0.75 * cap - this.memory) || topic.memory < (0.25 * cap) / this.topics.size;
  }

  onRoom(listener: () => void): void {
    this.roomListeners.push(listener);
  }

  /** Tells once that room came back where it was refused. */
  announceRoom(): void {
    let came = false;
    for (const topic of this.topics.values()) {
      if (!topic.denied || !this.fits(topic)) continue;
      topic.denied = false;
      came = true;
    }
    if (came) for (const listener of this.roomListeners) listener();
  }
}

function partitionOf(topic: TopicState, partition: number): PartitionQueue {
  const queue = topic.partitions[partition];
  if (queue) return queue;
  const last = topic.partitions.length - 1;
  throw new LogagentError(
    "BROKER_REFUSED",
    `producing to partition ${partition} of topic "${topic.name}": it has only partitions 0 to ${last}`,
  );
}
