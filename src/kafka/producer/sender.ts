/**
 * Decides what is sent next: which partitions may send, what travels together, when to close open batches and when to ask
 * for metadata. Everything retriable is retried for ever with identical bytes and sequences.
 */
import { messageOf } from "../../errors.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { ClusterMetadata, KafkaClient } from "../cluster/client.ts";
import type { Accumulator } from "./accumulator.ts";
import { type Lane, ProducingBroker } from "./broker-connections.ts";
import { ProduceVerdict, type VerdictHooks } from "./complete-batch.ts";
import { largestBatch, ProduceCalls } from "./in-flight-requests.ts";
import { MetadataRefresh } from "./metadata-refresh.ts";
import { MAX_IN_FLIGHT, type PartitionQueue } from "./partition-queue.ts";
import { PartitionRecovery, type RecoveryHooks } from "./partition-recovery.ts";
import type { ProducerStamp, RecordBatch } from "./producer-batch.ts";
import { Alarm } from "./timer.ts";
import { TopicChanges, type TopicChangesHooks } from "./topic-changes.ts";

export interface SenderOptions {
  acks: 0 | 1 | -1;
  lingerMs: number;
  batchBytes: number;
  /** Milliseconds after which the client gives a request up. */
  requestTimeout: number;
  transactionalId: string | null;
  /** See `ProducerOptions`. */
  holdInvalid: boolean;
  /** Of every partition, for tests of the wrap; default 0. */
  firstSequence: number;
}

export interface SenderHooks extends VerdictHooks, RecoveryHooks, TopicChangesHooks {
  /** The identity new partitions start with; null while there is none yet. */
  producer(): ProducerStamp | null;
  /** A request has ended and its batches were judged. */
  ended(): void;
}

export class Sender {
  /** The partitions that may have something to send. */
  readonly active = new Set<PartitionQueue>();
  /** True while a transaction waits for its last requests to end. */
  aborting = false;
  private readonly brokers = new Map<number, ProducingBroker>();
  private readonly options: SenderOptions;
  private readonly accumulator: Accumulator;
  private readonly clock: Clock;
  private readonly hooks: SenderHooks;
  private readonly window: number;
  private pumping = false;
  private closed = false;
  private readonly wake: Alarm;
  private readonly refresh: MetadataRefresh;
  private readonly calls: ProduceCalls;
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
    this.options = options;
    this.accumulator = accumulator;
    this.clock = clock;
    this.hooks = hooks;
    this.refresh = new MetadataRefresh(client, clock, random, {
      topics: () => [...this.accumulator.topics.keys()],
      apply: (metadata) => this.applyMetadata(metadata),
      failed: (error) => {
        const text = `asking for metadata: ${messageOf(error)}; trying on`;
        this.hooks.event({ level: "warn", name: "broker-unavailable", message: text, cause: error });
      },
      ended: () => this.pump(),
    });
    const verdict = new ProduceVerdict(options, this.refresh, accumulator.appendTime, clock, hooks);
    const restarted = () => this.pump();
    this.recovery = new PartitionRecovery(accumulator, this.active, clock, random, { ...hooks, restarted });
    this.topicChanges = new TopicChanges(accumulator, this.recovery, options, hooks);
    this.calls = new ProduceCalls(client, options, accumulator, clock, random, verdict, {
      ...hooks,
      judged: (queue) => {
        if (!this.aborting) this.recovery.settle(queue);
      },
      ended: (answered) => {
        if (!answered) this.refresh.wanted = true;
        hooks.ended();
        this.pump();
      },
    });
    this.wake = new Alarm(clock, () => this.pump());
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
    const ready = new Map<Lane, PartitionQueue[]>();
    const planned = new Map<Lane, number>();
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
      const broker = this.broker(queue.leader);
      const until = Math.max(queue.notBefore, broker.notBefore);
      if (until > now) {
        next = Math.min(next, until);
        continue;
      }
      if (!queue.canSend(this.window, now)) continue;
      const lane = broker.laneFor(queue, planned, now);
      const list = ready.get(lane);
      if (list) list.push(queue);
      else ready.set(lane, [queue]);
    }
    for (const [lane, queues] of ready) this.sendOn(lane, queues, now);
    if (ready.size > 0) this.accumulator.announceRoom();
    next = Math.min(next, this.refresh.run(now));
    if (next < Number.POSITIVE_INFINITY) this.wake.at(next, now);
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

  private broker(id: number): ProducingBroker {
    let broker = this.brokers.get(id);
    if (!broker) {
      broker = new ProducingBroker(id, this.options.acks !== 0);
      this.brokers.set(id, broker);
    }
    return broker;
  }

  /** Small batches of several partitions travel in one request, full ones alone. */
  private sendOn(lane: Lane, queues: PartitionQueue[], now: number): void {
    let waiting = queues;
    while (!lane.full && waiting.length > 0) {
      const batches: [RecordBatch, PartitionQueue][] = [];
      const later: PartitionQueue[] = [];
      let size = 0;
      for (const queue of waiting) {
        if (size > 0 && size + queue.nextSize > Math.min(this.options.batchBytes, largestBatch(lane.broker))) {
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
      if (batches.length > 0) this.calls.send(lane, batches, now);
    }
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

  close(): void {
    this.closed = true;
    this.wake.cancel();
  }
}
