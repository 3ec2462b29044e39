/**
 * The fetch loop without a group: explicit positions, one fetch in flight per broker, the next one sent while what came is
 * being used. Leaders that move, brokers that go away and offsets that are gone are met here.
 */
import { LogagentError } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import type { KafkaClient } from "./client.ts";
import { type AbortedTransaction, DecodeError } from "./decode.ts";
import { offsetBehind } from "./decode-batch.ts";
import { codes, errorInfo, KafkaError } from "./errors.ts";
import { type FetchedPartition, type FetchLimits, fetchRequest, type IsolationLevel } from "./fetch-request.ts";
import { listOffsets } from "./list-offsets.ts";
import { isTransient } from "./retry-leaders.ts";

export interface FetchOptions extends FetchLimits {
  isolation: IsolationLevel;
  /** Empty: none. With one, the broker may name a nearer replica to read from. */
  rack: string;
  /** Milliseconds for one answer beyond `maxWait`. */
  requestTimeout: number;
  /** Milliseconds without any answer after which `next` throws; Infinity: never, the loop goes on trying. */
  timeout: number;
}

export const fetchDefaults: FetchOptions = {
  isolation: "read-committed",
  rack: "",
  maxWait: 500,
  minBytes: 1,
  maxBytes: 4 * 1024 * 1024,
  partitionBytes: 1024 * 1024,
  requestTimeout: 30_000,
  timeout: Number.POSITIVE_INFINITY,
};

export interface Assignment {
  topic: string;
  partition: number;
  offset: number;
  /** Exclusive; Infinity: follow for ever. */
  end: number;
}

/** Record batches of one partition, for `RecordSetReader`. */
export interface Fetched {
  topic: string;
  partition: number;
  from: number;
  to: number;
  aborted: AbortedTransaction[] | null;
  records: Buffer;
  highWatermark: number;
  lastStableOffset: number;
  logStartOffset: number;
}

interface State extends Assignment {
  /** Node to read from instead of the leader; -1 is none. */
  replica: number;
  /** Not fetched before this time (`performance.now()`). */
  readyAt: number;
  /** Answers in a row without data although the broker says that the end lies behind. */
  emptyAnswers: number;
  /** Errors in a row of this partition alone, and when the first one came. */
  failures: number;
  failingSince: number;
}

const minBackoff = 50;
const maxBackoff = 2000;

export class Fetcher {
  private readonly client: KafkaClient;
  private readonly options: FetchOptions;
  private readonly log: Log;
  private states: State[] = [];
  private readonly queue: Fetched[] = [];
  private queuedBytes = 0;
  private readonly busy = new Set<number>();
  private error: Error | null = null;
  private closed = false;
  private isIdle = false;
  private wake: (() => void) | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private refreshing = false;
  private failures = 0;
  private failingSince = 0;

  constructor(client: KafkaClient, options: FetchOptions, log: Log) {
    this.client = client;
    this.options = options;
    this.log = log;
  }

  /** Adds partitions. Their topics' metadata must have been asked for with this client before. */
  assign(assignments: readonly Assignment[]): void {
    for (const item of assignments) {
      if (item.offset < item.end) this.states.push(newState(item));
    }
    this.pump();
  }

  /** What was fetched next; null when every partition reached its end, or after `close`. Throws what ends the loop. */
  async next(): Promise<Fetched | null> {
    for (;;) {
      if (this.closed) return null;
      const item = this.queue.shift();
      if (item) {
        this.queuedBytes -= item.records.length;
        this.pump();
        return item;
      }
      if (this.error) throw this.error;
      if (this.states.length === 0 && !this.isIdle) return null;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** True when something is waiting in the queue, so that `next` answers at once. */
  get hasNext(): boolean {
    return this.queue.length > 0;
  }

  /** From now on `next` waits, also when nothing is left to fetch. */
  idle(): void {
    this.isIdle = true;
  }

  close(): void {
    this.closed = true;
    if (this.timer) clearTimeout(this.timer);
    this.notify();
  }

  private notify(): void {
    const { wake } = this;
    this.wake = null;
    wake?.();
  }

  private fail(error: Error): void {
    this.error ??= error;
    this.notify();
  }

  /** Sends a fetch to every broker that has none in flight, while the queue has room. */
  private pump(): void {
    if (this.closed || this.error || this.queuedBytes >= this.options.maxBytes) return;
    const now = performance.now();
    const ready = this.states.filter((state) => state.readyAt <= now);
    let waitFor = Number.POSITIVE_INFINITY;
    for (const { readyAt } of this.states) if (readyAt > now) waitFor = Math.min(waitFor, readyAt - now);
    for (const [node, states] of Map.groupBy(ready, (state) => this.nodeOf(state))) {
      if (node < 0) this.retryLater(states, new LogagentError("BROKER_UNAVAILABLE", `${nameOf(states)} has no leader`));
      else if (!this.busy.has(node)) void this.fetch(node, states);
    }
    if (waitFor < Number.POSITIVE_INFINITY) this.pumpIn(waitFor);
  }

  private pumpIn(milliseconds: number): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.pump(), milliseconds + 1);
  }

  private nodeOf(state: State): number {
    return state.replica >= 0 ? state.replica : (this.client.leaderOf(state.topic, state.partition) ?? -1);
  }

  private async fetch(node: number, states: State[]): Promise<void> {
    this.busy.add(node);
    try {
      const request = fetchRequest(
        states,
        this.options.isolation,
        this.options,
        this.options.rack,
        this.options.requestTimeout,
      );
      const response = await this.client.send(node, request);
      if (this.closed) return;
      if (response.errorCode !== 0) throw new KafkaError(response.errorCode, `fetching from broker ${node}`);
      this.answered(states);
      await this.take(states, response.partitions);
    } catch (error) {
      if (this.closed) return;
      for (const state of states) state.replica = -1;
      if (isTransient(error)) this.retryLater(states, error as Error);
      else this.fail(error as Error);
    } finally {
      this.busy.delete(node);
      this.pump();
    }
  }

  private answered(states: readonly State[]): void {
    if (this.failures > 0) this.log.info("brokers answer again", { partitions: nameOf(states) });
    this.failures = 0;
  }

  private async take(states: readonly State[], partitions: readonly FetchedPartition[]): Promise<void> {
    const byName = new Map(states.map((state) => [`${state.topic}/${state.partition}`, state]));
    const isEmpty = partitions.every(({ records }) => records.length === 0);
    for (const part of partitions) {
      const state = byName.get(`${part.topic}/${part.partition}`);
      if (!state) continue;
      if (part.errorCode === 0) state.failures = 0;
      if (part.errorCode !== 0) await this.takeError(state, part);
      else if (part.preferredReplica >= 0) state.replica = part.preferredReplica;
      else if (part.records.length > 0) this.takeRecords(state, part);
      else if (isEmpty) this.takeNothing(state, part);
    }
    this.states = this.states.filter((state) => state.offset < state.end);
    this.notify();
  }

  private takeRecords(state: State, part: FetchedPartition): void {
    const next = offsetBehind(part.records, state.offset);
    if (next === state.offset) {
      const reason = `the ${part.records.length} bytes that were fetched hold no whole batch`;
      this.fail(new DecodeError(state, state.offset, reason));
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
    });
    this.queuedBytes += part.records.length;
    state.offset = next;
    state.emptyAnswers = 0;
    // To the back, so that the response's size limit does not starve those behind it.
    const at = this.states.indexOf(state);
    if (at >= 0) this.states.push(...this.states.splice(at, 1));
  }

  /** Compaction can remove the last records before the wanted end: then that end is never reached by reading. */
  private takeNothing(state: State, part: FetchedPartition): void {
    const limit = this.options.isolation === "read-committed" ? part.lastStableOffset : part.highWatermark;
    if (state.end > limit || limit < 0) return;
    if (++state.emptyAnswers >= 2) state.offset = state.end;
  }

  private async takeError(state: State, part: FetchedPartition): Promise<void> {
    const name = `${state.topic}/${state.partition}`;
    const info = errorInfo(part.errorCode);
    state.replica = -1;
    if (part.errorCode === codes.OFFSET_OUT_OF_RANGE) return this.moveIntoRange(state);
    const error = new KafkaError(part.errorCode, `fetching ${name} from offset ${state.offset}`);
    if (info.retriable || info.refreshMetadata) {
      this.waitForLeader(state, error);
    } else if (part.errorCode === codes.TOPIC_AUTHORIZATION_FAILED) {
      this.fail(
        new LogagentError("AUTHORIZATION", `reading topic "${state.topic}": the broker does not allow it`, error),
      );
    } else {
      this.fail(error);
    }
  }

  /** Retention deleted what lies at the position, or the log was truncated or made anew. */
  private async moveIntoRange(state: State): Promise<void> {
    const name = `${state.topic}/${state.partition}`;
    const at = (query: "start" | "end") =>
      listOffsets(this.client, [state], query, "read-uncommitted", this.options.requestTimeout);
    const [start, end] = (await Promise.all([at("start"), at("end")])).map((found) => found[0]?.offset ?? 0) as [
      number,
      number,
    ];
    if (state.offset < start) {
      this.log.warn("records are gone, going on at the start of the log", {
        partition: name,
        from: state.offset,
        to: start,
      });
      state.offset = start;
    } else if (state.offset > end) {
      this.log.warn("the log is shorter than the position, going on at its end", {
        partition: name,
        from: state.offset,
        to: end,
      });
      state.offset = end;
    }
  }

  /** Backoff, fresh metadata, and the time-out of one-shot reads. */
  private retryLater(states: readonly State[], error: Error): void {
    const now = performance.now();
    if (this.failures === 0) this.failingSince = now;
    if (now - this.failingSince > this.options.timeout) {
      this.fail(error);
      return;
    }
    const delay = Math.min(maxBackoff, minBackoff * 2 ** Math.min(this.failures, 10));
    if (this.failures++ === 0) this.log.warn(`${error.message}; trying again`);
    this.postpone(states, delay);
  }

  /** One partition has no leader or another one: normal for a moment, so it is told only when it lasts. */
  private waitForLeader(state: State, error: KafkaError): void {
    const now = performance.now();
    if (state.failures++ === 0) state.failingSince = now;
    if (now - state.failingSince > this.options.timeout) {
      this.fail(error);
      return;
    }
    if (state.failures === 8) this.log.warn(`${error.message}; trying again`);
    this.postpone([state], Math.min(maxBackoff, minBackoff * 2 ** Math.min(state.failures - 1, 10)));
  }

  private postpone(states: readonly State[], delay: number): void {
    for (const state of states) state.readyAt = performance.now() + delay;
    this.pumpIn(delay);
    void this.refresh();
  }

  private async refresh(): Promise<void> {
    if (this.refreshing || this.closed) return;
    this.refreshing = true;
    try {
      await this.client.metadata([...new Set(this.states.map(({ topic }) => topic))]);
    } catch (error) {
      if (!isTransient(error)) this.fail(error as Error);
    } finally {
      this.refreshing = false;
    }
  }
}

function newState(item: Assignment): State {
  return { ...item, replica: -1, readyAt: 0, emptyAnswers: 0, failures: 0, failingSince: 0 };
}

function nameOf(states: readonly State[]): string {
  const names = states.slice(0, 3).map(({ topic, partition }) => `${topic}/${partition}`);
  return states.length > 3 ? `${names.join(", ")} and ${states.length - 3} more` : names.join(", ");
}
