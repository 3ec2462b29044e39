/**
 * Sends closed batches to their leaders: which partitions may send, requests per broker, backoff, when
 * to ask for metadata. Everything retriable is retried for ever with identical bytes and sequences.
 */
import { backoff } from "../backoff.ts";
import type { Clock, Random } from "../runtime.ts";
import type { Accumulator } from "./accumulator.ts";
import type { ClusterMetadata, KafkaClient } from "./client.ts";
import { MetadataRefresh } from "./metadata-refresh.ts";
import { mayRepeat, partitionGone } from "./partition-events.ts";
import { MAX_IN_FLIGHT, type PartitionQueue } from "./partition-queue.ts";
import { PartitionRecovery, type RecoveryHooks } from "./partition-recovery.ts";
import { type ProduceOptions, type ProduceResponse, partitionKey, produceRequest } from "./produce-request.ts";
import { ProduceVerdict, type VerdictHooks } from "./produce-verdict.ts";
import type { ProducerStamp, RecordBatch } from "./record-batch.ts";
import { TopicChanges, type TopicChangesHooks } from "./topic-changes.ts";

/** Requests under way per broker; more only queue up there, since a broker serves a connection one by one. */
const MAX_REQUESTS = 5;
/** Milliseconds without an answer after which the broker may have forgotten our producer id. */
const STATE_LIFETIME = 12 * 3600_000;

export interface SenderOptions {
  acks: 0 | 1 | -1;
  lingerMs: number;
  batchBytes: number;
  /** Milliseconds after which the client gives a request up. */
  requestTimeout: number;
  transactionalId: string | null;
  /** Of every partition, for tests of the wrap; default 0. */
  firstSequence: number;
}

export interface SenderHooks extends VerdictHooks, RecoveryHooks, TopicChangesHooks {
  /** The identity new partitions start with; null while there is none yet. */
  producer(): ProducerStamp | null;
  /** A request has ended and its batches were judged. */
  ended(): void;
}

interface Node {
  id: number;
  requests: number;
  failures: number;
  notBefore: number;
}

export class Sender {
  /** The partitions that may have something to send. */
  readonly active = new Set<PartitionQueue>();
  /** True while a transaction waits for its last requests to end. */
  aborting = false;
  private readonly nodes = new Map<number, Node>();
  private readonly client: KafkaClient;
  private readonly options: SenderOptions;
  private readonly accumulator: Accumulator;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly hooks: SenderHooks;
  private readonly window: number;
  private readonly produceOptions: ProduceOptions;
  private pumping = false;
  private closed = false;
  private wake: { at: number; cancel: () => void } | null = null;
  private readonly refresh: MetadataRefresh;
  private readonly verdict: ProduceVerdict;
  private readonly recovery: PartitionRecovery;
  private readonly topicChanges: TopicChanges;

  constructor(
    client: KafkaClient,
    options: SenderOptions,
    accumulator: Accumulator,
    clock: Clock,
    random: Random,
    hooks: SenderHooks,
  ) {
    this.client = client;
    this.options = options;
    this.accumulator = accumulator;
    this.clock = clock;
    this.random = random;
    this.hooks = hooks;
    this.refresh = new MetadataRefresh(client, clock, random, {
      topics: () => [...this.accumulator.topics.keys()],
      apply: (metadata) => this.applyMetadata(metadata),
      failed: (error) => {
        const text = `asking for metadata: ${message(error)}; trying on`;
        this.hooks.event({ level: "warn", name: "broker-unavailable", message: text, cause: error });
      },
      ended: () => this.pump(),
    });
    this.verdict = new ProduceVerdict(options.transactionalId !== null, this.refresh, clock, hooks);
    const restarted = () => this.pump();
    this.recovery = new PartitionRecovery(accumulator, this.active, clock, random, { ...hooks, restarted });
    this.topicChanges = new TopicChanges(accumulator, this.recovery, options, hooks);
    this.produceOptions = {
      acks: options.acks,
      timeoutMs: Math.max(1000, Math.floor(options.requestTimeout * 0.6)),
      transactionalId: options.transactionalId,
      headerBytes: 128,
      prefixes: new Map(),
    };
    // Without sequence numbers a failed batch could be overtaken by the next one.
    this.window = options.acks === -1 ? MAX_IN_FLIGHT : 1;
  }

  /** Looks for work soon; any number of calls within one turn of the event loop are one. */
  pump(): void {
    if (this.pumping || this.closed) return;
    this.pumping = true;
    queueMicrotask(() => {
      this.pumping = false;
      if (!this.closed) this.run();
    });
  }

  private run(): void {
    const now = this.clock.monotonic();
    let next = this.closeDue(now);
    const ready = new Map<Node, PartitionQueue[]>();
    for (const queue of this.active) {
      if (!queue.hasWork) {
        this.active.delete(queue);
        continue;
      }
      if (queue.idle || queue.failed || queue.inFlight >= this.window) continue;
      if (queue.leader < 0) {
        this.refresh.wanted = true;
        continue;
      }
      if (!this.identify(queue)) continue;
      const node = this.node(queue.leader);
      const until = Math.max(queue.notBefore, node.notBefore);
      if (until > now) {
        next = Math.min(next, until);
        continue;
      }
      if (!queue.canSend(this.window, now)) continue;
      const list = ready.get(node);
      if (list) list.push(queue);
      else ready.set(node, [queue]);
    }
    for (const [node, queues] of ready) this.sendTo(node, queues, now);
    if (ready.size > 0) this.accumulator.announceRoom();
    next = Math.min(next, this.refresh.run(now));
    if (next < Number.POSITIVE_INFINITY) this.wakeAt(next, now);
  }

  /** Closes open batches that are due; returns when the next one will be. */
  private closeDue(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    // In a transaction the cut closes them.
    if (this.options.transactionalId !== null) return next;
    for (const queue of this.accumulator.openQueues) {
      this.active.add(queue);
      const due = (queue.open as RecordBatch).openedAt + this.options.lingerMs;
      if (this.options.lingerMs > 0 ? due <= now : queue.idle) this.accumulator.close(queue);
      else if (this.options.lingerMs > 0) next = Math.min(next, due);
    }
    return next;
  }

  /** Gives a partition the identity to use; false while there is none. */
  private identify(queue: PartitionQueue): boolean {
    if (queue.producer && queue.unacked.length > 0) return true;
    const producer = this.hooks.producer();
    if (!producer) return false;
    if (queue.producer === null) queue.startWith(producer, this.options.firstSequence);
    return true;
  }

  private node(id: number): Node {
    let node = this.nodes.get(id);
    if (!node) {
      node = { id, requests: 0, failures: 0, notBefore: 0 };
      this.nodes.set(id, node);
    }
    return node;
  }

  /** Small batches of several partitions travel in one request, full ones alone. */
  private sendTo(node: Node, queues: PartitionQueue[], now: number): void {
    let waiting = queues;
    while (node.requests < MAX_REQUESTS && waiting.length > 0) {
      const batches: [RecordBatch, PartitionQueue][] = [];
      const later: PartitionQueue[] = [];
      let size = 0;
      for (const queue of waiting) {
        if (size > 0 && size + queue.nextSize > this.options.batchBytes) {
          later.push(queue);
          continue;
        }
        const batch = queue.take();
        if (!batch) continue;
        size += batch.size;
        batches.push([batch, queue]);
        // Behind the others, so that each gets its turn.
        this.active.delete(queue);
        this.active.add(queue);
        if (queue.nextSize > 0 && queue.canSend(this.window, now)) later.push(queue);
      }
      waiting = later;
      if (batches.length > 0) this.send(node, batches, now);
    }
  }

  private send(node: Node, sent: [RecordBatch, PartitionQueue][], now: number): void {
    node.requests++;
    for (const [batch] of sent) {
      if (batch.firstSentAt < 0) {
        batch.firstSentAt = now;
        this.accumulator.topic(batch.topic).sentMemory += batch.memory;
      } else if (batch.unresolved && now - batch.firstSentAt > STATE_LIFETIME) {
        const why = "no answer came for so long that the broker may have forgotten the producer";
        this.hooks.event(mayRepeat([batch], why));
        batch.unresolved = false;
      }
    }
    const batches = sent.map(([batch]) => batch);
    const { request, release } = produceRequest(batches, this.produceOptions, this.accumulator.pool);
    this.client.send(node.id, request).then(
      (response) => {
        release();
        this.answered(node, sent, response);
      },
      (error) => {
        release();
        this.lost(node, sent, error);
      },
    );
  }

  private answered(node: Node, sent: [RecordBatch, PartitionQueue][], response: ProduceResponse | undefined): void {
    node.requests--;
    if (node.failures > 0) this.recovered(node);
    if (response && response.throttleMs > 0) node.notBefore = this.clock.monotonic() + response.throttleMs;
    for (const [batch, queue] of sent) {
      queue.ended(batch);
      const result = response?.results.get(partitionKey(batch.topic, batch.partition));
      if (result) this.verdict.judge(batch, queue, result);
      else if (this.options.acks === 0) this.verdict.acknowledged(batch, queue, -1n, -1);
      else this.verdict.retry(batch, queue, true);
      if (!this.aborting) this.recovery.settle(queue);
    }
    this.hooks.ended();
    this.pump();
  }

  private recovered(node: Node): void {
    node.failures = 0;
    this.hooks.event({ level: "info", name: "broker-available", message: `broker ${node.id} answers again` });
  }

  /** No answer: what happened to the batches is not known. */
  private lost(node: Node, sent: [RecordBatch, PartitionQueue][], error: unknown): void {
    node.requests--;
    this.hooks.refused?.("NO_ANSWER");
    const now = this.clock.monotonic();
    if (node.notBefore <= now) {
      node.failures++;
      node.notBefore = now + backoff(node.failures, this.random);
      if (node.failures === 1) {
        this.hooks.event({
          level: "warn",
          name: "broker-unavailable",
          message: `producing to broker ${node.id}: ${message(error)}; trying on`,
          cause: error,
        });
      }
    }
    for (const [batch, queue] of sent) {
      queue.ended(batch);
      this.verdict.retry(batch, queue, true);
      if (!this.aborting) this.recovery.settle(queue);
    }
    this.refresh.wanted = true;
    this.hooks.ended();
    this.pump();
  }

  /** What is known may be out of date. */
  refreshMetadata(): void {
    this.refresh.wanted = true;
    this.pump();
  }

  /** Fresh metadata came, by the sender's own request or another way. */
  applyMetadata(metadata: ClusterMetadata): void {
    this.refresh.noted();
    if (this.topicChanges.apply(metadata)) this.refresh.wanted = true;
    this.pump();
  }

  /** For whoever moves the batches of a partition that is gone. */
  tellGone(gone: PartitionQueue, target: PartitionQueue): void {
    this.hooks.event(partitionGone(gone, target));
  }

  private wakeAt(at: number, now: number): void {
    if (this.wake && this.wake.at <= at && this.wake.at > now) return;
    this.wake?.cancel();
    const cancel = this.clock.after(Math.max(0, Math.ceil(at - now)), () => {
      this.wake = null;
      this.pump();
    });
    this.wake = { at, cancel };
  }

  close(): void {
    this.closed = true;
    this.wake?.cancel();
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
