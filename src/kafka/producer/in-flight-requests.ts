/** Produce requests under way: sent with their batches, and what becomes of both when an answer comes or fails to. */
import { backoff } from "../../backoff.ts";
import { messageOf } from "../../errors.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { type ProduceOptions, type ProduceResponse, partitionKey, produceRequest } from "../protocol/produce.ts";
import type { Accumulator } from "./accumulator.ts";
import type { Lane } from "./broker-connections.ts";
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

type Sent = readonly [RecordBatch, PartitionQueue];

export class ProduceCalls {
  private readonly client: KafkaClient;
  private readonly options: ProduceOptions;
  private readonly accumulator: Accumulator;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly verdict: ProduceVerdict;
  private readonly hooks: ProduceCallsHooks;

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

  /** One request with a batch each of some partitions. */
  send(lane: Lane, sent: readonly Sent[], now: number): void {
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
    for (const [batch, queue] of sent) {
      queue.ended(batch);
      this.verdict.retry(batch, queue, true);
      this.hooks.judged(queue);
    }
    this.hooks.ended(false);
  }
}
