/** When the producer asks for metadata: on demand with backoff, and often enough to see new partitions within a minute. */
import { backoff } from "../../backoff.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { ClusterMetadata, KafkaClient } from "../cluster/client.ts";

/** Milliseconds between looks at the metadata when nothing calls for it. */
const INTERVAL = 50_000;

export interface MetadataRefreshHooks {
  topics(): string[];
  apply(metadata: ClusterMetadata): void;
  /** The first of several failures in a row. */
  failed(error: unknown): void;
  /** A try has ended: `run` wants to be called again. */
  ended(): void;
}

export class MetadataRefresh {
  /** Somebody misses a leader or was told that what is known is out of date. */
  wanted = false;
  private readonly client: KafkaClient;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly hooks: MetadataRefreshHooks;
  private running = false;
  private failures = 0;
  /** Refreshes that did not help, or that others followed soon. */
  private inARow = 0;
  private notBefore = 0;
  private lastAt = Number.NEGATIVE_INFINITY;

  constructor(client: KafkaClient, clock: Clock, random: Random, hooks: MetadataRefreshHooks) {
    this.client = client;
    this.clock = clock;
    this.random = random;
    this.hooks = hooks;
  }

  /** Fresh metadata came, by `run` or another way. */
  noted(): void {
    this.lastAt = this.clock.monotonic();
  }

  /** Asks if it is wanted or time, unless that is under way; returns when to call it again. */
  run(now: number): number {
    const due = this.lastAt + INTERVAL;
    if (now >= due) this.wanted = true;
    if (!this.wanted) return due;
    if (this.running) return Number.POSITIVE_INFINITY;
    const topics = this.hooks.topics();
    if (topics.length === 0) return Number.POSITIVE_INFINITY;
    if (now < this.notBefore) return this.notBefore;
    this.wanted = false;
    this.inARow = now - this.lastAt > 5000 ? 0 : this.inARow + 1;
    this.running = true;
    void this.ask(topics);
    return Number.POSITIVE_INFINITY;
  }

  private async ask(topics: string[]): Promise<void> {
    try {
      const metadata = await this.client.metadata(topics);
      this.failures = 0;
      this.hooks.apply(metadata);
    } catch (error) {
      this.wanted = true;
      if (++this.failures === 1) this.hooks.failed(error);
    }
    this.running = false;
    this.notBefore = this.clock.monotonic() + backoff(Math.max(this.failures, this.inARow), this.random);
    this.hooks.ended();
  }
}
