/** What the plain and the transactional producer share: topics, records into batches, batches to brokers, settling. */
import { backoff } from "../../backoff.ts";
import { LogagentError, messageOf } from "../../errors.ts";
import type { Lines } from "../../lines.ts";
import type { Log } from "../../observe/log.ts";
import { type Clock, type Random, sleep } from "../../runtime.ts";
import type { KafkaClient, TopicMetadata } from "../cluster/client.ts";
import { codes, errorInfo, KafkaError } from "../protocol/errors.ts";
import { Accumulator } from "./accumulator.ts";
import type { ProducerConfig } from "./config.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { RecordBatch } from "./producer-batch.ts";
import { Sender, type SenderHooks } from "./sender.ts";
import type { Batch, Outcome, Route, Sink, SinkEvent } from "./sink.ts";

export interface ProducerOptions extends ProducerConfig {
  /** Milliseconds; the client's own, default 30 000. */
  requestTimeout?: number;
  /**
   * INVALID_RECORD is held and tried on instead of dropped. For records that this program makes itself: then it is the topic's
   * settings that refuse them (a compacted topic takes none without a key).
   */
  holdInvalid?: boolean;
  onEvent?: (event: SinkEvent) => void;
  /** See `SenderHooks`: for metrics, called once per batch and per error. */
  onProduced?: (seconds: number) => void;
  onProduceError?: (code: string) => void;
  /** First sequence number, for tests of the wrap at 2^31. */
  firstSequence?: number;
}

export abstract class BaseProducer implements Sink {
  protected readonly client: KafkaClient;
  protected readonly options: ProducerOptions;
  protected readonly clock: Clock;
  protected readonly random: Random;
  protected readonly log: Log;
  protected readonly accumulator: Accumulator;
  protected readonly sender: Sender;
  private readonly settledListeners: ((batch: Batch, outcome: Outcome) => void)[] = [];
  private missingListener: (topic: string) => void = () => {};
  private readonly ending = new AbortController();

  constructor(
    client: KafkaClient,
    options: ProducerOptions & { transactionalId?: string },
    clock: Clock,
    random: Random,
    log: Log,
  ) {
    this.client = client;
    this.options = options;
    this.clock = clock;
    this.random = random;
    this.log = log;
    const unsentBytes = options.transactionalId === undefined ? unsentLimit(options) : Number.POSITIVE_INFINITY;
    const closed = (batch: RecordBatch, queue: PartitionQueue) => this.closed(batch, queue);
    this.accumulator = new Accumulator({ ...options, unsentBytes }, clock, random, closed);
    const senderOptions = {
      acks: options.acks,
      lingerMs: options.lingerMs,
      batchBytes: options.batchBytes,
      requestTimeout: options.requestTimeout ?? 30_000,
      transactionalId: options.transactionalId ?? null,
      holdInvalid: options.holdInvalid ?? false,
      firstSequence: options.firstSequence ?? 0,
    };
    const hooks = this.hooks();
    this.sender = new Sender(client, senderOptions, this.accumulator, clock, random, {
      ...hooks,
      topicMissing: (topic) => {
        hooks.topicMissing?.(topic);
        if (this.accumulator.topic(topic).memory > 0) this.missingListener(topic);
      },
      produced: options.onProduced,
      refused: options.onProduceError,
    });
  }

  protected abstract hooks(): SenderHooks;
  /** A batch was closed: on to its partition's queue, or kept for the transaction it belongs to. */
  protected abstract closed(batch: RecordBatch, queue: PartitionQueue): void;
  /** Whatever must be known before the first batch is sent. */
  protected abstract prepareProducer(): Promise<void>;
  abstract flush(deadline: number): Promise<boolean>;

  protected event(event: SinkEvent): void {
    // What ends because this program closes it is no news.
    if (this.ending.signal.aborted) return;
    this.options.onEvent?.(event);
    const fields = { topic: event.topic, partition: event.partition };
    if (!this.options.onEvent) this.log[event.level](event.message, fields);
  }

  async prepare(name: string): Promise<void> {
    let missing = 0;
    await this.forever(`looking up topic "${name}"`, async () => {
      const metadata = await this.client.metadata([name]);
      const topic = metadata.topics.find((t) => t.name === name);
      if (topic && topic.partitions.length > 0) {
        this.accumulator.topic(name);
        this.sender.applyMetadata(metadata);
        return true;
      }
      // A topic that was just created takes a moment to be known to every broker.
      if (topic?.errorCode !== codes.UNKNOWN_TOPIC_OR_PARTITION || ++missing >= 4) throwIfFinal(name, topic);
      return false;
    });
    await this.prepareProducer();
  }

  /** Tries until `step` is true; only what waiting does not mend is thrown. */
  protected async forever(action: string, step: () => Promise<boolean>): Promise<void> {
    for (let failures = 0, said = false; ; ) {
      if (this.ending.signal.aborted)
        throw new LogagentError("BROKER_UNAVAILABLE", `${action}: the producer was closed`);
      try {
        if (await step()) return;
      } catch (error) {
        if (this.ending.signal.aborted) continue;
        if (!waitingMends(error)) throw error;
        // Coordinators answer so for a moment after their start.
        if (!said && (failures >= 5 || !(error instanceof KafkaError))) {
          said = true;
          const text = `${action}: ${messageOf(error)}; trying on`;
          this.event({ level: "warn", name: "broker-unavailable", message: text, cause: error });
        }
      }
      failures++;
      await sleep(this.clock, backoff(failures, this.random, 100), this.ending.signal);
    }
  }

  partitions(topic: string): number {
    return this.accumulator.topic(topic).partitions.length;
  }

  hasRoom(topic: string): boolean {
    return this.accumulator.hasRoom(topic);
  }

  onRoom(f: () => void): void {
    this.accumulator.onRoom(f);
  }

  onMissing(f: (topic: string) => void): void {
    this.missingListener = f;
  }

  append(lines: Lines, route: Route): void {
    if (lines.count > 0) {
      this.accumulator.append(lines, route);
      this.sender.pump();
      return;
    }
    if (lines.to === lines.base) return;
    const range = { file: lines.file, from: lines.base, to: lines.to, pending: 0, open: false };
    const nothing = { topic: route.topic, partition: -1, count: 0, size: 0, ranges: [range] };
    this.tell(nothing, { kind: "acked", offset: -1n, timestamp: -1 });
  }

  onSettled(f: (batch: Batch, outcome: Outcome) => void): void {
    this.settledListeners.push(f);
  }

  protected settle(batch: RecordBatch, outcome: Outcome): void {
    for (const range of batch.ranges) range.pending--;
    this.accumulator.free(batch);
    this.tell(batch, outcome);
    this.accumulator.announceRoom();
  }

  private tell(batch: Batch, outcome: Outcome): void {
    for (const listener of this.settledListeners) listener(batch, outcome);
  }

  get buffered(): number {
    return this.accumulator.memory;
  }

  async close(): Promise<void> {
    this.ending.abort();
    this.sender.close();
    this.accumulator.stop();
    await this.client.close();
  }
}

/** Enough for the next requests of a broker; beyond that the files themselves are the better buffer. */
function unsentLimit({ batchBytes }: ProducerOptions): number {
  return Math.max(4 * batchBytes, 4 << 20);
}

/** Codes, besides the retriable ones, that a restarted coordinator or controller may answer for a while. */
function waitingMends(error: unknown): boolean {
  if (error instanceof KafkaError) return error.retriable;
  return error instanceof LogagentError && error.code === "BROKER_UNAVAILABLE";
}

/** Throws what waiting does not mend; returns for what it may. */
function throwIfFinal(name: string, topic: TopicMetadata | undefined): void {
  const code = topic?.errorCode ?? codes.UNKNOWN_TOPIC_OR_PARTITION;
  if (code === codes.UNKNOWN_TOPIC_OR_PARTITION) {
    throw new LogagentError(
      "BROKER_REFUSED",
      `producing to topic "${name}": there is no such topic; create it with \`logagent topics create ${name}\``,
    );
  }
  if (code === codes.TOPIC_AUTHORIZATION_FAILED) {
    throw new LogagentError("AUTHORIZATION", `producing to topic "${name}": not authorized (an ACL must allow Write)`);
  }
  const info = errorInfo(code);
  if (code !== 0 && !info.retriable) {
    throw new LogagentError("BROKER_REFUSED", `producing to topic "${name}": ${info.name} (${code})`);
  }
}
