/**
 * Sends closed batches to their leaders: which partitions may send, requests per broker, what each answer means, backoff,
 * metadata. Everything retriable is retried for ever with identical bytes and sequences.
 */
import type { Clock, Random } from "../runtime.ts";
import type { Accumulator } from "./accumulator.ts";
import { backoff } from "./backoff.ts";
import type { ClusterMetadata, KafkaClient } from "./client.ts";
import { codes, errorInfo, KafkaError } from "./errors.ts";
import { MetadataRefresh } from "./metadata-refresh.ts";
import { MAX_IN_FLIGHT, type PartitionQueue } from "./partition-queue.ts";
import { lostStateCodes, mayHaveAppended, splittable } from "./produce-errors.ts";
import {
  type PartitionResult,
  type ProduceOptions,
  type ProduceResponse,
  partitionKey,
  produceRequest,
} from "./produce-request.ts";
import type { ProducerStamp, RecordBatch } from "./record-batch.ts";
import { incrementSequence } from "./sequence.ts";
import type { Outcome, SinkEvent } from "./sink.ts";

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

export interface SenderHooks {
  event(event: SinkEvent): void;
  /** The batch is done: acknowledged or refused for good. It is already out of its partition's queue. */
  done(batch: RecordBatch, outcome: Outcome): void;
  /** The batch is replaced by these. */
  split(batch: RecordBatch, parts: readonly RecordBatch[]): void;
  /** In a transaction: this code ends it. The queue sends nothing more. */
  aborted(error: KafkaError): void;
  /** A fresh identity where the one in use has come to its end; resolves when `PartitionQueue.restart` may be used. */
  newProducer(): Promise<ProducerStamp>;
  /** The identity new partitions start with; null while there is none yet. */
  producer(): ProducerStamp | null;
  /** In a transaction: these partitions are gone, their batches need others. */
  partitionsGone(queues: readonly PartitionQueue[]): void;
  /** A request has ended and its batches were judged. */
  ended(): void;
  /** A batch was acknowledged that many seconds after its first try. */
  produced?: ((seconds: number) => void) | undefined;
  /** A produce request had no answer (`NO_ANSWER`) or a partition of it this error. */
  refused?: ((code: string) => void) | undefined;
}

interface Node {
  id: number;
  requests: number;
  failures: number;
  notBefore: number;
}

export class Sender {
  readonly active = new Set<PartitionQueue>();
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
        this.mayRepeat([batch], "no answer came for so long that the broker may have forgotten the producer");
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
      if (result) this.judge(batch, queue, result);
      else if (this.options.acks === 0) this.acknowledged(batch, queue, -1n, -1);
      else this.retry(batch, queue, true);
      this.settleFailure(queue);
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
      this.retry(batch, queue, true);
      this.settleFailure(queue);
    }
    this.refresh.wanted = true;
    this.hooks.ended();
    this.pump();
  }

  /** What the broker's answer for one partition means. */
  private judge(batch: RecordBatch, queue: PartitionQueue, result: PartitionResult): void {
    const { code } = result;
    if (code === codes.NONE || code === codes.DUPLICATE_SEQUENCE_NUMBER) {
      this.acknowledged(batch, queue, code === codes.NONE ? result.baseOffset : -1n, result.logAppendTime);
      return;
    }
    const info = errorInfo(code);
    this.hooks.refused?.(info.name);
    if (info.refreshMetadata) this.refresh.wanted = true;
    if (splittable.has(code)) {
      batch.refused = { kind: "dropped", code, name: info.name, message: result.message ?? "" };
      queue.failed = true;
      return;
    }
    // Later batches are out of order because an earlier one failed; only the first one says something of its own.
    const first = queue.unacked[0] === batch;
    if (lostStateCodes.has(code)) {
      if (this.options.transactionalId !== null && (first || code !== codes.OUT_OF_ORDER_SEQUENCE_NUMBER)) {
        this.abort(queue, code, batch, result.message);
        return;
      }
      if (first) {
        queue.lostState = true;
        this.hooks.event({
          level: "debug",
          name: "producer-state-refused",
          message: `${describe(batch)}: ${info.name} at sequence ${batch.sequence}`,
          topic: batch.topic,
          partition: batch.partition,
        });
      }
      this.retry(batch, queue, false);
      return;
    }
    if (this.options.transactionalId !== null && (info.abortTransaction || info.fatal)) {
      this.abort(queue, code, batch, result.message);
      return;
    }
    if (!info.retriable) {
      const error = new KafkaError(code, `producing to ${describe(batch)}`, result.message);
      const level = queue.failures === 0 ? "error" : "debug";
      this.hooks.event({ level, name: "produce-refused", message: `${error.message}; trying on`, cause: error });
    }
    this.retry(batch, queue, mayHaveAppended.has(code));
  }

  private abort(queue: PartitionQueue, code: number, batch: RecordBatch, detail: string | null): void {
    queue.failed = true;
    this.hooks.aborted(new KafkaError(code, `producing to ${describe(batch)} in a transaction`, detail));
  }

  private acknowledged(batch: RecordBatch, queue: PartitionQueue, offset: bigint, appendTime: number): void {
    queue.acknowledge(batch);
    this.hooks.produced?.((this.clock.monotonic() - batch.firstSentAt) / 1000);
    this.hooks.done(batch, { kind: "acked", offset, timestamp: appendTime >= 0 ? appendTime : batch.timestamp });
  }

  private retry(batch: RecordBatch, queue: PartitionQueue, unresolved: boolean): void {
    if (unresolved) batch.unresolved = true;
    queue.failed = true;
  }

  /** Once every request of a failed partition has ended: splits, restarts, waits, and lets it go on from the first. */
  private settleFailure(queue: PartitionQueue): void {
    if (!queue.failed || queue.inFlight > 0 || this.aborting) return;
    if (queue.gone) {
      this.moveBatches(queue);
      return;
    }
    let mended = false;
    for (const batch of queue.unacked.filter((b) => b.refused)) {
      this.splitOrDrop(batch, queue);
      mended = true;
    }
    queue.proven = false;
    queue.failed = false;
    if (queue.lostState) {
      this.restart(queue);
      return;
    }
    if (mended) return;
    queue.failures++;
    queue.notBefore = this.clock.monotonic() + backoff(queue.failures, this.random);
  }

  private splitOrDrop(batch: RecordBatch, queue: PartitionQueue): void {
    const refused = batch.refused as Extract<Outcome, { kind: "dropped" }>;
    if (batch.count === 1) {
      queue.drop(batch);
      this.hooks.event({
        level: "warn",
        name: "record-refused",
        message: `${describe(batch)}: a record of ${batch.size} bytes was refused (${refused.name}) and is left out`,
        topic: batch.topic,
        partition: batch.partition,
      });
      this.hooks.done(batch, refused);
      return;
    }
    const { size, memory } = batch;
    const parts = batch.split(incrementSequence);
    queue.replace(batch, parts);
    const topic = this.accumulator.topic(batch.topic);
    const more = parts[0].memory + parts[1].memory - memory;
    this.accumulator.account(topic, more);
    topic.sentMemory += more;
    this.hooks.split(batch, parts);
    this.hooks.event({
      level: "debug",
      name: "batch-split",
      message: `${describe(batch)}: a batch of ${size} bytes was refused (${refused.name}) and is split`,
      topic: batch.topic,
      partition: batch.partition,
    });
  }

  /** The batches of a partition that is gone, to the one that stands in for it, in their order. */
  private moveBatches(queue: PartitionQueue): void {
    this.accumulator.close(queue);
    const target = this.accumulator.topic(queue.topic).substitute(queue.partition);
    const batches = queue.clear();
    this.active.delete(queue);
    if (batches.length === 0) return;
    for (const batch of batches) {
      batch.partition = target.partition;
      batch.refused = null;
      // What was sent to the old topic is gone with it.
      batch.unresolved = false;
    }
    target.queue.push(...batches);
    this.active.add(target);
    this.tellGone(queue, target);
  }

  tellGone({ topic, partition }: PartitionQueue, target: PartitionQueue): void {
    const message = `topic "${topic}": partition ${partition} is gone; its records go to partition ${target.partition}`;
    this.hooks.event({ level: "warn", name: "partition-gone", message, topic, partition });
  }

  /** What is known may be out of date. */
  refreshMetadata(): void {
    this.refresh.wanted = true;
    this.pump();
  }

  /** True while a transaction waits for its last requests to end. */
  aborting = false;

  /** KIP-360: a new epoch, sequences from 0. The epoch of a producer without transactions is each partition's own. */
  private restart(queue: PartitionQueue): void {
    queue.lostState = false;
    const doubtful = queue.unacked.filter(({ unresolved }) => unresolved);
    if (doubtful.length > 0) this.mayRepeat(doubtful, "the broker has lost the producer's state");
    for (const batch of doubtful) batch.unresolved = false;
    const { id, epoch, transactional } = queue.producer as ProducerStamp;
    queue.restarts++;
    queue.notBefore = this.clock.monotonic() + (queue.restarts > 1 ? backoff(queue.restarts, this.random) : 0);
    if (epoch < 0x7fff && queue.restarts <= 3) {
      queue.restart({ id, epoch: epoch + 1, transactional });
      return;
    }
    queue.failed = true;
    this.hooks.newProducer().then((producer) => {
      queue.failed = false;
      queue.restart(producer);
      this.pump();
    });
  }

  private mayRepeat(batches: readonly RecordBatch[], why: string): void {
    const [first] = batches as [RecordBatch];
    const records = batches.reduce((sum, { count }) => sum + count, 0);
    this.hooks.event({
      level: "warn",
      name: "producer-state-lost",
      message: `${describe(first)}: ${why}; ${batches.length} batches (${records} records) of unknown fate may repeat`,
      topic: first.topic,
      partition: first.partition,
    });
  }

  applyMetadata(metadata: ClusterMetadata): void {
    this.refresh.noted();
    for (const found of metadata.topics) {
      const topic = this.accumulator.topics.get(found.name);
      if (!topic) continue;
      if (found.partitions.length === 0 && found.errorCode !== codes.NONE) {
        for (const queue of topic.partitions) queue.leader = -1;
        if (topic.memory > 0) this.refresh.wanted = true;
        if (!topic.missing) {
          const { name } = errorInfo(found.errorCode);
          const text = `topic "${found.name}": the broker answers ${name}; trying on`;
          this.hooks.event({ level: "warn", name: "topic-missing", message: text, topic: found.name });
        }
        topic.missing = true;
        continue;
      }
      topic.missing = false;
      const { recreated, gone } = topic.update(found);
      if (!recreated) continue;
      const text = `topic "${found.name}" was deleted and created again; its sequences start anew`;
      this.hooks.event({ level: "warn", name: "topic-recreated", message: text, topic: found.name });
      if (this.options.transactionalId !== null) {
        if (gone.length > 0) this.hooks.partitionsGone(gone);
        continue;
      }
      for (const queue of gone) {
        queue.gone = true;
        queue.failed = true;
        this.settleFailure(queue);
      }
      for (const queue of topic.partitions) {
        if (queue.producer === null || this.options.acks !== -1) continue;
        queue.lostState = true;
        queue.failed = true;
        // What was sent to the old topic is gone with it.
        for (const batch of queue.unacked) batch.unresolved = false;
        this.settleFailure(queue);
      }
    }
    this.pump();
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

function describe(batch: RecordBatch): string {
  return `topic "${batch.topic}" partition ${batch.partition}`;
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
