/** What the answers to Produce requests mean: for each batch whether it is done, to be sent again, or the end of its transaction. */
import type { Clock } from "../../runtime.ts";
import { codes, errorInfo, KafkaError } from "../protocol/errors.ts";
import type { PartitionResult } from "../protocol/produce.ts";
import { lostStateCodes, mayHaveAppended, splittable } from "../protocol/produce-errors.ts";
import { type AppendTime, NO_TIMESTAMP } from "./append-time.ts";
import type { ProducingBroker } from "./broker-connections.ts";
import { clockRefused, describe, stateRefused } from "./events.ts";
import { LastingTrouble } from "./lasting-trouble.ts";
import type { MetadataRefresh } from "./metadata-refresh.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { RecordBatch } from "./producer-batch.ts";
import type { Outcome, SinkEvent } from "./sink.ts";

/** What mends codes that last. */
const advice: Readonly<Record<number, string>> = {
  [codes.NOT_ENOUGH_REPLICAS]: " (fewer replicas are in sync than min.insync.replicas asks for)",
  [codes.NOT_ENOUGH_REPLICAS_AFTER_APPEND]: " (fewer replicas are in sync than min.insync.replicas asks for)",
};

export interface VerdictHooks {
  event(event: SinkEvent): void;
  /** The batch is done: acknowledged or refused for good. It is already out of its partition's queue. */
  done(batch: RecordBatch, outcome: Outcome): void;
  /** In a transaction: this code ends it. The queue sends nothing more. */
  aborted(error: KafkaError): void;
  /** A batch was acknowledged that many seconds after its first try. */
  produced?: ((seconds: number) => void) | undefined;
  /** A produce request had no answer (`NO_ANSWER`) or a partition of it this error. */
  refused?: ((code: string) => void) | undefined;
}

/** Ends batches or marks them and their queue; how a failed queue goes on is for `PartitionRecovery`. */
export class ProduceVerdict {
  private readonly transactional: boolean;
  private readonly refresh: MetadataRefresh;
  private readonly appendTime: AppendTime;
  private readonly clock: Clock;
  private readonly hooks: VerdictHooks;
  private readonly holdInvalid: boolean;
  private readonly lasting: LastingTrouble;

  constructor(
    options: { transactionalId: string | null; holdInvalid: boolean },
    refresh: MetadataRefresh,
    appendTime: AppendTime,
    clock: Clock,
    hooks: VerdictHooks,
  ) {
    this.transactional = options.transactionalId !== null;
    this.holdInvalid = options.holdInvalid;
    this.appendTime = appendTime;
    this.refresh = refresh;
    this.clock = clock;
    this.hooks = hooks;
    this.lasting = new LastingTrouble(clock);
  }

  /** What the broker's answer for one partition means. */
  judge(batch: RecordBatch, queue: PartitionQueue, result: PartitionResult): void {
    const { code } = result;
    if (code === codes.NONE || code === codes.DUPLICATE_SEQUENCE_NUMBER) {
      this.acknowledged(batch, queue, code === codes.NONE ? result.baseOffset : -1n, result.logAppendTime);
      return;
    }
    const info = errorInfo(code);
    this.hooks.refused?.(info.name);
    if (info.refreshMetadata) this.refresh.wanted = true;
    if (code === codes.INVALID_TIMESTAMP && !batch.timesGiven && batch.maxTimestamp !== NO_TIMESTAMP) {
      batch.untimed = true;
      queue.failed = true;
      if (this.appendTime.refused()) this.hooks.event(clockRefused(batch, result.message));
      return;
    }
    if (this.blamesRecords(code, batch)) {
      batch.refused = { kind: "dropped", code, name: info.name, message: result.message ?? "" };
      queue.failed = true;
      return;
    }
    // Later batches are out of order because an earlier one failed; only the first one says something of its own.
    const first = queue.unacked[0] === batch;
    if (lostStateCodes.has(code)) {
      if (this.transactional && (first || code !== codes.OUT_OF_ORDER_SEQUENCE_NUMBER)) {
        this.abort(queue, code, batch, result.message);
        return;
      }
      if (first) {
        queue.lostState = true;
        this.hooks.event(stateRefused(batch, info.name));
      }
      this.retry(batch, queue, false);
      return;
    }
    if (this.transactional && (info.abortTransaction || info.fatal)) {
      this.abort(queue, code, batch, result.message);
      return;
    }
    const error = new KafkaError(code, `producing to ${describe(batch)}`, result.message);
    if (info.retriable) {
      const seconds = this.lasting.met(batch.topic, code);
      const message = `${error.message}, for ${seconds} s now${advice[code] ?? ""}; trying on`;
      if (seconds !== null) this.hooks.event({ level: "warn", name: "produce-delayed", message, cause: error });
    } else {
      const level = queue.failures === 0 ? "error" : "debug";
      this.hooks.event({ level, name: "produce-refused", message: `${error.message}; trying on`, cause: error });
    }
    this.retry(batch, queue, mayHaveAppended.has(code));
  }

  /** No request to the broker can carry the batch: it would hang up. Nobody has it. */
  tooLarge(batch: RecordBatch, queue: PartitionQueue, { id, requestLimit }: ProducingBroker): void {
    const code = codes.MESSAGE_TOO_LARGE;
    const { name } = errorInfo(code);
    this.hooks.refused?.(name);
    const message = `broker ${id} reads no request above ${requestLimit} bytes (socket.request.max.bytes)`;
    batch.refused = { kind: "dropped", code, name, message };
    batch.unresolved = false;
    queue.failed = true;
  }

  /** The broker has the batch; `offset` and `appendTime` (ms) are -1 where it does not say. */
  acknowledged(batch: RecordBatch, queue: PartitionQueue, offset: bigint, appendTime: number): void {
    queue.acknowledge(batch);
    this.hooks.produced?.((this.clock.monotonic() - batch.firstSentAt) / 1000);
    this.hooks.done(batch, { kind: "acked", offset, timestamp: appendTime >= 0 ? appendTime : batch.maxTimestamp });
  }

  /** The batch is to be sent again; `unresolved`: it may have been appended all the same. */
  retry(batch: RecordBatch, queue: PartitionQueue, unresolved: boolean): void {
    if (unresolved) batch.unresolved = true;
    queue.failed = true;
  }

  /**
   * Whether the records themselves are to blame: the batch is split down to those the broker will never take. What the
   * topic's settings or this host's clock are to blame for is held, whatever it is called.
   */
  private blamesRecords(code: number, batch: RecordBatch): boolean {
    if (code === codes.INVALID_TIMESTAMP) return batch.timesGiven;
    if (code === codes.INVALID_RECORD) return !this.holdInvalid;
    return splittable.has(code);
  }

  private abort(queue: PartitionQueue, code: number, batch: RecordBatch, detail: string | null): void {
    queue.failed = true;
    this.hooks.aborted(new KafkaError(code, `producing to ${describe(batch)} in a transaction`, detail));
  }
}
