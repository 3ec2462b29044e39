/** Produce requests under way: sent with their batches, and what becomes of both when an answer comes or fails to. */
import { backoff } from "../../backoff.ts";
import { messageOf } from "../../errors.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { ConnectionError } from "../network/connection-error.ts";
import { type ProduceOptions, type ProduceResponse, partitionKey, produceRequest } from "../protocol/produce.ts";
import { requestLimit } from "../protocol/request-limit.ts";
import type { Accumulator } from "./accumulator.ts";
import type { Lane, ProducingBroker } from "./broker-connections.ts";
import type { ProduceVerdict, VerdictHooks } from "./complete-batch.ts";
import { mayRepeat } from "./events.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { RecordBatch } from "./producer-batch.ts";

/** Milliseconds without an answer after which the broker may have forgotten our producer id. */
const STATE_LIFETIME = 12 * 3600_000;

export interface ProduceCallsHooks extends Pick<VerdictHooks, "event" | "refused"> {
  /** A batch of the partition was judged. */
  judged(queue: PartitionQueue): void;
  /** A request has ended, with an answer or without. */
  ended(answered: boolean): void;
}

/** Bytes of a request besides its batch, at most: names of topic, client and transaction. */
const REQUEST_OVERHEAD = 1024;

/** Requests below this many bytes are taken by every broker: a connection that ends with one has other causes. */
const SURELY_READ = 64 << 10;

/** The largest batch that fits into a request to the broker. */
export const largestBatch = (broker: ProducingBroker) => broker.requestLimit - REQUEST_OVERHEAD;

type Sent = readonly [RecordBatch, PartitionQueue];

export class ProduceCalls {
  private readonly client: KafkaClient;
  private readonly options: ProduceOptions;
  private readonly accumulator: Accumulator;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly verdict: ProduceVerdict;
  private readonly hooks: ProduceCallsHooks;
  /** Brokers whose largest request is being asked for. */
  private readonly asking = new Set<ProducingBroker>();

  constructor(
    client: KafkaClient,
    options: { acks: 0 | 1 | -1; requestTimeout: number; transactionalId: string | null },
    accumulator: Accumulator,
    clock: Clock,
    random: Random,
    verdict: ProduceVerdict,
    hooks: ProduceCallsHooks,
  ) {
    this.client = client;
    this.accumulator = accumulator;
    this.clock = clock;
    this.random = random;
    this.verdict = verdict;
    this.hooks = hooks;
    this.options = {
      acks: options.acks,
      timeoutMs: Math.max(1000, Math.floor(options.requestTimeout * 0.6)),
      transactionalId: options.transactionalId,
      headerBytes: 128,
      prefixes: new Map(),
    };
  }

  /** One request with a batch each of some partitions; batches that no request to the broker can carry are refused here. */
  send(lane: Lane, taken: readonly Sent[], now: number): void {
    const largest = largestBatch(lane.broker);
    const sent = taken.filter(([batch]) => batch.size <= largest);
    for (const [batch, queue] of taken) {
      if (batch.size <= largest) continue;
      queue.ended(batch);
      this.verdict.tooLarge(batch, queue, lane.broker);
      this.hooks.judged(queue);
    }
    if (sent.length < taken.length) this.hooks.ended(true);
    if (sent.length === 0) return;
    const batches = sent.map(([batch]) => batch);
    for (const batch of batches) this.firstTry(batch, now);
    const { request, release } = produceRequest(batches, this.options, this.accumulator.pool);
    const bytes = batches.reduce((sum, { size }) => sum + size, 0);
    lane.requests++;
    lane.bytes += bytes;
    const ended = () => {
      release();
      lane.requests--;
      lane.bytes -= bytes;
    };
    this.client.send(lane.broker.id, { ...request, lane: lane.name }).then(
      (response) => {
        ended();
        this.answered(lane, sent, response);
      },
      (error) => {
        ended();
        this.lost(lane, sent, error);
      },
    );
  }

  private firstTry(batch: RecordBatch, now: number): void {
    if (batch.firstSentAt < 0) {
      batch.firstSentAt = now;
      this.accumulator.topic(batch.topic).sentMemory += batch.memory;
    } else if (batch.unresolved && now - batch.firstSentAt > STATE_LIFETIME) {
      const why = "no answer came for so long that the broker may have forgotten the producer";
      this.hooks.event(mayRepeat([batch], why));
      batch.unresolved = false;
    }
  }

  private answered(lane: Lane, sent: readonly Sent[], response: ProduceResponse | undefined): void {
    const { broker } = lane;
    broker.answered(lane);
    if (broker.failures > 0) {
      broker.failures = 0;
      const message = `broker ${broker.id} answers again`;
      this.hooks.event({ level: "info", name: "broker-available", message });
    }
    const silence = response?.throttleMs ?? 0;
    if (silence > 0) broker.notBefore = Math.max(broker.notBefore, this.clock.monotonic() + silence);
    for (const [batch, queue] of sent) {
      queue.ended(batch);
      const result = response?.results.get(partitionKey(batch.topic, batch.partition));
      if (result) this.verdict.judge(batch, queue, result);
      else if (this.options.acks === 0) this.verdict.acknowledged(batch, queue, -1n, -1);
      else this.verdict.retry(batch, queue, true);
      this.hooks.judged(queue);
    }
    this.hooks.ended(true);
  }

  /** No answer: what happened to the batches is not known. */
  private lost(lane: Lane, sent: readonly Sent[], error: unknown): void {
    const { broker } = lane;
    this.hooks.refused?.("NO_ANSWER");
    const now = this.clock.monotonic();
    broker.lost(lane, error, now);
    // Requests that were lost together are one failure.
    if (broker.notBefore <= now) {
      broker.failures++;
      broker.notBefore = now + backoff(broker.failures, this.random);
      if (broker.failures === 1) {
        const message = `producing to broker ${broker.id}: ${messageOf(error)}; trying on`;
        this.hooks.event({ level: "warn", name: "broker-unavailable", message, cause: error });
      }
    }
    const hungUp = error instanceof ConnectionError && error.stage === "open";
    if (hungUp && sent.some(([{ size }]) => size >= SURELY_READ)) void this.askLimit(broker);
    for (const [batch, queue] of sent) {
      queue.ended(batch);
      this.verdict.retry(batch, queue, true);
      this.hooks.judged(queue);
    }
    this.hooks.ended(false);
  }

  /** A broker hangs up without a word where a request is larger than it reads. */
  private async askLimit(broker: ProducingBroker): Promise<void> {
    if (this.asking.has(broker)) return;
    this.asking.add(broker);
    try {
      const limit = await this.client.send(broker.id, requestLimit(broker.id));
      broker.requestLimit = limit ?? Number.POSITIVE_INFINITY;
    } catch {
      // It is away, or we may not see its configuration: then the batch is tried on.
    } finally {
      this.asking.delete(broker);
    }
  }
}
