/** What a reader does while brokers or leaders are away: backoff, fresh metadata, and the time-out of one-shot reads. */
import { backoff } from "../../backoff.ts";
import type { Log } from "../../observe/log.ts";
import type { ClusterMetadata, KafkaClient } from "../cluster/client.ts";
import { isTransient } from "../cluster/leaders.ts";
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
  private failures = 0;
  private failingSince = 0;
  private refreshing = false;

  constructor(client: KafkaClient, timeout: number, log: Log, hooks: FetchRetryHooks) {
    this.client = client;
    this.timeout = timeout;
    this.log = log;
    this.hooks = hooks;
  }

  /** A broker answered. */
  answered(states: readonly PartitionState[]): void {
    if (this.failures > 0) this.log.info("brokers answer again", { partitions: nameOf(states) });
    this.failures = 0;
  }

  /** No answer came for these partitions. */
  later(states: readonly PartitionState[], error: Error): void {
    const now = performance.now();
    if (this.failures++ === 0) {
      this.failingSince = now;
      this.log.warn(`${error.message}; trying again`);
    }
    if (now - this.failingSince > this.timeout) this.hooks.fail(error);
    else this.postpone(states, backoff(this.failures, Math.random, first, last));
  }

  /** One partition has no leader or another one: normal for a moment, so it is told only when it lasts. */
  waitForLeader(state: PartitionState, error: Error): void {
    const now = performance.now();
    if (state.failures++ === 0) state.failingSince = now;
    if (state.failures === tellAfter) this.log.warn(`${error.message}; trying again`);
    if (now - state.failingSince > this.timeout) this.hooks.fail(error);
    else this.postpone([state], backoff(state.failures, Math.random, first, last));
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
      this.hooks.refreshed(await this.client.metadata([...new Set(this.hooks.topics())]));
    } catch (error) {
      if (!isTransient(error)) this.hooks.fail(error as Error);
    } finally {
      this.refreshing = false;
    }
  }
}
