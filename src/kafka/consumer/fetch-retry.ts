/** What a reader does while brokers or leaders are away: backoff, fresh metadata, and the time-out of one-shot reads. */
import { backoff } from "../../backoff.ts";
import type { Log } from "../../observe/log.ts";
import type { ClusterMetadata, KafkaClient } from "../cluster/client.ts";
import { isTransient } from "../cluster/leaders.ts";
import { codes } from "../protocol/errors.ts";
import { nameOf, type PartitionState } from "./partition-state.ts";

const first = 50;
const last = 2000;
/** Refusals in a row after which a single partition's trouble is worth a word. */
const tellAfter = 8;

export interface FetchRetryHooks {
  topics: () => Iterable<string>;
  /** Fresh metadata came. */
  refreshed: (metadata: ClusterMetadata) => void;
  /** The reading ends with this error. */
  fail: (error: Error) => void;
  /** Look again after so many milliseconds. */
  pumpIn: (milliseconds: number) => void;
}

export class FetchRetry {
  private readonly client: KafkaClient;
  /** Milliseconds without any answer after which it is given up. */
  private readonly timeout: number;
  private readonly log: Log;
  private readonly hooks: FetchRetryHooks;
  /** Topics that the latest metadata do not have, and those of them that were told. */
  private gone: ReadonlySet<string> = new Set();
  private readonly told = new Set<string>();
  private refreshing = false;

  constructor(client: KafkaClient, timeout: number, log: Log, hooks: FetchRetryHooks) {
    this.client = client;
    this.timeout = timeout;
    this.log = log;
    this.hooks = hooks;
  }

  /** A broker answered for these partitions; what it says of each comes to `read` or `waitForLeader`. */
  answered(states: readonly PartitionState[]): void {
    const back = states.filter(({ unanswered }) => unanswered > 0);
    for (const state of back) state.unanswered = 0;
    if (back.length > 0) this.log.info("brokers answer again", { partitions: nameOf(back) });
  }

  /** A broker did not answer for these partitions. */
  later(states: readonly PartitionState[], error: Error): void {
    const now = performance.now();
    const fresh = states.filter(({ unanswered }) => unanswered === 0);
    for (const state of fresh) if (state.failures === 0) state.failingSince = now;
    for (const state of states) state.unanswered++;
    if (fresh.length > 0) this.log.warn(`${error.message}; trying again`, { partitions: nameOf(fresh) });
    this.waitOrFail(states, Math.min(...states.map(({ unanswered }) => unanswered)), error);
  }

  /** One partition has no leader or another one: normal for a moment, so it is told only when it lasts. */
  waitForLeader(state: PartitionState, error: Error): void {
    if (state.failures++ === 0 && state.unanswered === 0) state.failingSince = performance.now();
    if (state.failures >= tellAfter) this.tell(state, error);
    this.waitOrFail([state], state.failures, error);
  }

  /** A partition is read, or read again. */
  read(state: PartitionState): void {
    if (state.failures >= tellAfter) this.log.info("the partition can be read again", { partition: nameOf([state]) });
    state.failures = 0;
    this.told.delete(state.topic);
  }

  /** Once for a partition; a topic that is gone once for all of its partitions. */
  private tell(state: PartitionState, error: Error): void {
    const { topic, failures } = state;
    if (!this.gone.has(topic)) {
      if (failures === tellAfter) this.log.warn(`${error.message}; trying again`);
    } else if (!this.told.has(topic)) {
      this.told.add(topic);
      this.log.warn(`topic "${topic}" does not exist any more; it is read again when it is there again`);
    }
  }

  private waitOrFail(states: readonly PartitionState[], failures: number, error: Error): void {
    const longest = performance.now() - Math.min(...states.map(({ failingSince }) => failingSince));
    if (longest > this.timeout) this.hooks.fail(error);
    else this.postpone(states, backoff(failures, Math.random, first, last));
  }

  /** A broker answered without having waited for records: once may be, in a row it must not make a busy loop. */
  hurried(states: readonly PartitionState[]): void {
    for (const state of states) {
      if (state.hurried++ === 0) continue;
      const delay = backoff(state.hurried - 1, Math.random, 10, 500);
      state.readyAt = Math.max(state.readyAt, performance.now() + delay);
    }
  }

  private postpone(states: readonly PartitionState[], delay: number): void {
    for (const state of states) state.readyAt = performance.now() + delay;
    this.hooks.pumpIn(delay);
    void this.refresh();
  }

  private async refresh(): Promise<void> {
    if (this.refreshing) return;
    this.refreshing = true;
    try {
      const metadata = await this.client.metadata([...new Set(this.hooks.topics())]);
      const gone = metadata.topics.filter(({ errorCode }) => errorCode === codes.UNKNOWN_TOPIC_OR_PARTITION);
      this.gone = new Set(gone.map(({ name }) => name));
      this.hooks.refreshed(metadata);
    } catch (error) {
      if (!isTransient(error)) this.hooks.fail(error as Error);
    } finally {
      this.refreshing = false;
    }
  }
}
