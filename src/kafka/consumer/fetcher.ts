/**
 * The fetch loop without a group: explicit positions, one fetch in flight per broker, the next one sent while what came is
 * being used. Leaders that move, brokers that go away and offsets that are gone are met here.
 */
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import type { ClusterMetadata, KafkaClient } from "../cluster/client.ts";
import { isTransient } from "../cluster/leaders.ts";
import { codes, errorInfo, KafkaError } from "../protocol/errors.ts";
import { type FetchedPartition, type FetchLimits, fetchRequest, type IsolationLevel } from "../protocol/fetch.ts";
import { offsetBehind } from "../record/decode-batch.ts";
import { DecodeError } from "../record/record-set-reader.ts";
import { type Fetched, FetchQueue } from "./fetch-queue.ts";
import { FetchRetry } from "./fetch-retry.ts";
import type { OffsetRange } from "./offset-range.ts";
import { moveIntoRange } from "./offset-reset.ts";
import { type Assignment, nameOf, newPartition, type PartitionState } from "./partition-state.ts";
import { ReceivePool } from "./receive-pool.ts";
import { afterRecreation } from "./recreated-topic.ts";

export type { Fetched } from "./fetch-queue.ts";
export { type Assignment, nameOf } from "./partition-state.ts";

export interface FetchOptions extends FetchLimits {
  isolation: IsolationLevel;
  /** Empty: none. With one, the broker may name a nearer replica to read from. */
  rack: string;
  /** Milliseconds for one answer beyond `maxWait`. */
  requestTimeout: number;
  /** See `ResetOptions`. */
  reset: OffsetRange | null;
  /** Milliseconds without any answer after which `next` throws; Infinity: never, the loop goes on trying. */
  timeout: number;
}

export const fetchDefaults: FetchOptions = {
  isolation: "read-committed",
  reset: null,
  rack: "",
  maxWait: 500,
  minBytes: 1,
  maxBytes: 4 * 1024 * 1024,
  partitionBytes: 1024 * 1024,
  requestTimeout: 30_000,
  timeout: Number.POSITIVE_INFINITY,
};

/** Responses below this many bytes are not worth a buffer of the pool; a reader that gets them has caught up. */
const smallResponse = 64 << 10;

const leaderless = (state: PartitionState) =>
  new LogagentError("BROKER_UNAVAILABLE", `${nameOf([state])} has no leader`);

/** Neither records nor another node to ask nor trouble. */
const isNothing = (part: FetchedPartition) =>
  part.errorCode === 0 && part.records.length === 0 && part.preferredReplica < 0;

export class Fetcher {
  private readonly client: KafkaClient;
  private readonly options: FetchOptions;
  private readonly log: Log;
  private readonly queue = new FetchQueue();
  private readonly pool = new ReceivePool();
  private readonly retry: FetchRetry;
  private states: PartitionState[] = [];
  private readonly busy = new Set<number>();
  private isIdle = false;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(client: KafkaClient, options: FetchOptions, log: Log) {
    this.client = client;
    this.options = options;
    this.log = log;
    this.retry = new FetchRetry(client, options.timeout, log, {
      topics: () => this.states.map(({ topic }) => topic),
      refreshed: (metadata) => this.noteRecreated(metadata),
      fail: (error) => this.queue.fail(error),
      pumpIn: (milliseconds) => this.pumpIn(milliseconds),
    });
  }

  /** Adds partitions. Their topics' metadata must have been asked for with this client before. */
  assign(assignments: readonly Assignment[]): void {
    for (const item of assignments) {
      if (item.offset < item.end) this.states.push(newPartition(item, this.client.topicIdOf(item.topic)));
    }
    this.pump();
  }

  /** True for a partition that was assigned and is not read to its end. */
  has(topic: string, partition: number): boolean {
    return this.states.some((state) => state.topic === topic && state.partition === partition);
  }

  /** What was fetched next; null when every partition reached its end, or after `close`. Throws what ends the loop. */
  async next(): Promise<Fetched | null> {
    const { queue } = this;
    for (;;) {
      if (queue.closed) return null;
      const item = queue.shift();
      if (item) {
        this.pump();
        return item;
      }
      if (queue.error) throw queue.error;
      if (this.states.length === 0 && !this.isIdle) return null;
      await queue.changed();
    }
  }

  /** True when something is waiting in the queue, so that `next` answers at once. */
  get hasNext(): boolean {
    return !this.queue.isEmpty;
  }

  /** From now on `next` waits, also when nothing is left to fetch; or no longer. */
  idle(isIdle = true): void {
    this.isIdle = isIdle;
    this.queue.notify();
  }

  close(): void {
    if (this.timer) clearTimeout(this.timer);
    this.queue.close();
  }

  /** Sends a fetch to every broker that has none in flight, while the queue has room. */
  private pump(): void {
    const { queue, options } = this;
    if (queue.closed || queue.error || queue.bytes >= options.maxBytes) return;
    const now = performance.now();
    const ready = this.states.filter((state) => state.readyAt <= now);
    let waitFor = Number.POSITIVE_INFINITY;
    for (const { readyAt } of this.states) if (readyAt > now) waitFor = Math.min(waitFor, readyAt - now);
    const byNode = Map.groupBy(ready, (state) => this.nodeOf(state));
    for (const [node, states] of byNode) {
      if (node < 0) for (const state of states) this.retry.waitForLeader(state, leaderless(state));
      else if (!this.busy.has(node)) void this.fetch(node, states, byNode.size);
    }
    if (waitFor < Number.POSITIVE_INFINITY) this.pumpIn(waitFor);
  }

  private pumpIn(milliseconds: number): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.pump(), milliseconds + 1);
  }

  private nodeOf(state: PartitionState): number {
    return state.replica >= 0 ? state.replica : (this.client.leaderOf(state.topic, state.partition) ?? -1);
  }

  /** Many brokers share the bytes that may be under way, so that memory does not grow with the cluster. */
  private async fetch(node: number, states: PartitionState[], brokers: number): Promise<void> {
    this.busy.add(node);
    const { options, pool } = this;
    let buffer: Buffer | null = null;
    const receiveInto = (bytes: number) => {
      if (bytes < smallResponse) {
        pool.clear();
        return Buffer.allocUnsafeSlow(bytes);
      }
      buffer = pool.take(bytes);
      return buffer;
    };
    try {
      const share = Math.max(Math.ceil(options.maxBytes / brokers), Math.min(options.maxBytes, options.partitionBytes));
      const limits = { ...options, maxBytes: share };
      const request = fetchRequest(states, options.isolation, limits, options.rack, options.requestTimeout);
      const sentAt = performance.now();
      const response = await this.client.send(node, { ...request, receiveInto });
      if (this.queue.closed) return;
      if (response.errorCode !== 0) throw new KafkaError(response.errorCode, `fetching from broker ${node}`);
      this.retry.answered(states);
      // KIP-219: the broker answers nothing on this connection for so long.
      for (const state of states) state.readyAt = performance.now() + response.throttleMs;
      if (performance.now() - sentAt >= options.maxWait) for (const state of states) state.hurried = 0;
      else if (response.partitions.every(isNothing)) this.retry.hurried(states);
      await this.take(states, response.partitions, buffer);
    } catch (error) {
      if (this.queue.closed) return;
      for (const state of states) state.replica = -1;
      if (isTransient(error)) this.retry.later(states, error as Error);
      else this.queue.fail(error as Error);
    } finally {
      this.busy.delete(node);
      this.pump();
    }
  }

  /** `buffer` holds the records of all partitions; it goes back when the last of them is released. */
  private async take(
    states: readonly PartitionState[],
    partitions: readonly FetchedPartition[],
    buffer: Buffer | null,
  ): Promise<void> {
    const byName = new Map(states.map((state) => [`${state.topic}/${state.partition}`, state]));
    const isEmpty = partitions.every(({ records }) => records.length === 0);
    let users = 1;
    const release = () => {
      if (--users === 0 && buffer) this.pool.give(buffer);
    };
    for (const part of partitions) {
      const state = byName.get(`${part.topic}/${part.partition}`);
      if (!state || (part.topicId !== null && part.topicId !== state.topicId)) continue;
      if (part.errorCode === 0) this.retry.read(state);
      if (part.errorCode !== 0) await this.takeError(state, part);
      else if (part.preferredReplica >= 0) state.replica = part.preferredReplica;
      else if (part.records.length > 0) {
        users++;
        this.takeRecords(state, part, release);
      } else if (isEmpty) this.takeNothing(state, part);
    }
    release();
    this.states = this.states.filter((state) => state.offset < state.end);
    this.queue.notify();
  }

  private takeRecords(state: PartitionState, part: FetchedPartition, release: () => void): void {
    const next = offsetBehind(part.records, state.offset);
    if (next === state.offset) {
      const reason = `the ${part.records.length} bytes that were fetched hold no whole batch`;
      this.queue.fail(new DecodeError(state, state.offset, reason));
      return;
    }
    this.queue.push({
      topic: state.topic,
      partition: state.partition,
      from: state.offset,
      to: Math.min(next, state.end),
      aborted: this.options.isolation === "read-committed" ? part.aborted : null,
      records: part.records,
      highWatermark: part.highWatermark,
      lastStableOffset: part.lastStableOffset,
      logStartOffset: part.logStartOffset,
      release,
    });
    state.offset = next;
    state.emptyAnswers = 0;
    state.hurried = 0;
    // To the back, so that the response's size limit does not starve those behind it.
    const at = this.states.indexOf(state);
    if (at >= 0) this.states.push(...this.states.splice(at, 1));
  }

  /** Compaction can remove the last records before the wanted end: then that end is never reached by reading. */
  private takeNothing(state: PartitionState, part: FetchedPartition): void {
    const limit = this.options.isolation === "read-committed" ? part.lastStableOffset : part.highWatermark;
    if (state.end > limit || limit < 0) return;
    if (++state.emptyAnswers >= 2) state.offset = state.end;
  }

  private noteRecreated(metadata: ClusterMetadata): void {
    if (this.queue.closed) return;
    try {
      this.states = afterRecreation(this.states, metadata, this.log);
    } catch (error) {
      this.queue.fail(error as Error);
    }
    this.queue.notify();
  }

  private async takeError(state: PartitionState, part: FetchedPartition): Promise<void> {
    const { client, options, log } = this;
    const info = errorInfo(part.errorCode);
    state.replica = -1;
    if (part.errorCode === codes.OFFSET_OUT_OF_RANGE) {
      this.retry.hurried([state]);
      return moveIntoRange(client, state, options, log);
    }
    const error = new KafkaError(
      part.errorCode,
      `fetching ${state.topic}/${state.partition} from offset ${state.offset}`,
    );
    if (info.retriable || info.refreshMetadata) this.retry.waitForLeader(state, error);
    else if (part.errorCode === codes.TOPIC_AUTHORIZATION_FAILED) {
      const message = `reading topic "${state.topic}": the broker does not allow it`;
      this.queue.fail(new LogagentError("AUTHORIZATION", message, error));
    } else this.queue.fail(error);
  }
}
