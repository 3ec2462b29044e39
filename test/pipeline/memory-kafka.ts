import type { Batch, Cut, Outcome, TransactionalSink } from "../../src/kafka/producer/sink.ts";
import { codes, KafkaError } from "../../src/kafka/protocol/errors.ts";
import {
  type GroupOffset,
  type ProducerIdentity,
  type TransactionCoordinator,
  UnresolvedError,
} from "../../src/kafka/transactions/coordinator.ts";
import { MemorySink } from "./memory-sink.ts";

/** What may go wrong at a step: nothing; the request or its answer is lost; the request takes effect much later. */
export type Fault = "none" | "request-lost" | "answer-lost" | "late";

/** Kafka as far as transactions of one id and one group go: a model of the coordinator, the log and the offsets. */
export class MemoryKafka {
  epoch = 0;
  /** What readers of committed records see. */
  readonly committed: string[] = [];
  offsets = new Map<string, GroupOffset>();
  /** An offset commit hangs in the group that no marker follows. */
  unstable = false;
  /** A committed offset was overwritten by a lower one. */
  wentBack = false;
  fault: (step: string) => Fault = () => "none";
  /** Topics that were deleted. */
  readonly missing = new Set<string>();
  /** Requests whose sender has given up; each takes effect, or is void, when `arrive` is called. */
  private late: (() => void)[] = [];
  private open: { values: string[]; offsets: GroupOffset[]; joined: boolean } | null = null;
  private last: "none" | "committed" | "aborted" = "none";

  /** Late requests arrive now. */
  arrive(): void {
    for (const act of this.late.splice(0)) act();
  }

  /** The coordinator's time-out: aborts and bumps the epoch. */
  expire(): void {
    if (!this.open) return;
    this.finish(false);
    this.epoch++;
  }

  /** One request of the producer with this epoch. */
  request(step: string, producer: ProducerIdentity, act: () => void): void {
    const checked = () => {
      if (producer.epoch !== this.epoch) throw new KafkaError(codes.INVALID_PRODUCER_EPOCH, step);
      act();
    };
    const fault = this.fault(step);
    if (fault === "late") {
      this.late.push(() => {
        try {
          checked();
        } catch {
          // Void: nobody waits for the answer.
        }
      });
    } else if (fault !== "request-lost") checked();
    if (fault !== "none") throw new UnresolvedError(`${step}: ${fault}`);
  }

  init(): ProducerIdentity {
    if (this.open) this.finish(false);
    this.epoch++;
    return { id: 1n, epoch: this.epoch };
  }

  add(): void {
    this.open ??= { values: [], offsets: [], joined: false };
  }

  produce(values: string[]): void {
    if (!this.open) throw new KafkaError(codes.INVALID_TXN_STATE, "produce");
    this.open.values.push(...values);
  }

  commitOffsets(offsets: readonly GroupOffset[]): void {
    this.add();
    this.open!.offsets.push(...offsets);
  }

  end(commit: boolean): void {
    if (this.open) this.finish(commit);
    else if (this.last !== (commit ? "committed" : "aborted")) throw new KafkaError(codes.INVALID_TXN_STATE, "end");
  }

  private finish(commit: boolean): void {
    const { values, offsets } = this.open!;
    this.open = null;
    this.last = commit ? "committed" : "aborted";
    this.unstable = false;
    if (!commit) return;
    this.committed.push(...values);
    for (const offset of offsets) {
      if (offset.offset < (this.offsets.get(offset.topic)?.offset ?? 0n)) this.wentBack = true;
      this.offsets.set(offset.topic, offset);
    }
  }

  coordinator(): TransactionCoordinator {
    return {
      init: async () => this.init(),
      addPartitions: async (producer, partitions) =>
        this.request("addPartitions", producer, () => {
          if (partitions.some(({ topic }) => this.missing.has(topic))) {
            throw new KafkaError(codes.UNKNOWN_TOPIC_OR_PARTITION, "addPartitions");
          }
          this.add();
        }),
      addGroup: async (producer) => this.request("addGroup", producer, () => this.add()),
      commitOffsets: async (producer, offsets) =>
        this.request("commitOffsets", producer, () => this.commitOffsets(offsets)),
      end: async (producer, commit) => this.request("end", producer, () => this.end(commit)),
      abandon: async (producer) => this.request("abandon", producer, () => void this.init()),
      stableOffsets: async () => (this.unstable ? null : [...this.offsets.values()]),
    };
  }
}

interface MemoryCut extends Cut {
  sent: boolean;
}

export class MemoryTransactionalSink extends MemorySink implements TransactionalSink {
  private readonly kafka: MemoryKafka;
  private producer: ProducerIdentity | null = null;
  private listener: (batch: Batch, outcome: Outcome) => void = () => {};
  private held = 0;

  constructor(kafka: MemoryKafka) {
    super();
    this.kafka = kafka;
  }

  setProducer(producer: ProducerIdentity): void {
    this.producer = producer;
  }

  cut(without: ReadonlySet<string> = new Set()): Cut | null {
    this.closeOpen();
    const batches = this.closed.filter(({ topic }) => !without.has(topic));
    if (batches.length === 0) return null;
    this.closed = this.closed.filter(({ topic }) => without.has(topic));
    this.held++;
    return { batches, size: batches.length, sent: false } as MemoryCut;
  }

  takeOut(cut: Cut, topics: ReadonlySet<string>): void {
    const memoryCut = cut as unknown as { batches: Batch[] };
    const out = memoryCut.batches.filter(({ topic }) => topics.has(topic));
    this.closed.unshift(...(out as typeof this.closed));
    memoryCut.batches = memoryCut.batches.filter(({ topic }) => !topics.has(topic));
  }

  async missingTopics(cut: Cut): Promise<ReadonlySet<string>> {
    return new Set(cut.batches.map(({ topic }) => topic).filter((topic) => this.isMissing(topic)));
  }

  isMissing(topic: string): boolean {
    return this.kafka.missing.has(topic);
  }

  async send(cut: Cut): Promise<void> {
    if (cut.batches.some(({ topic }) => this.kafka.missing.has(topic))) {
      throw new KafkaError(codes.UNKNOWN_TOPIC_OR_PARTITION, "produce");
    }
    const values = cut.batches.flatMap((batch) => (batch as unknown as { values: string[] }).values);
    this.kafka.request("produce", this.producer!, () => this.kafka.produce(values));
  }

  release(cut: Cut): void {
    this.held--;
    for (const batch of cut.batches) this.listener(batch, { kind: "acked", offset: 0n, timestamp: 0 });
  }

  override onSettled(f: (batch: Batch, outcome: Outcome) => void): void {
    this.listener = f;
  }

  override get buffered(): number {
    return this.held + super.buffered;
  }
}
