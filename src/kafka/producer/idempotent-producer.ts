/**
 * The producer: `Sink` for at-least-once, idempotent where acks is "all". Composed of the accumulator (records into
 * batches), the sender (batches to brokers) and the producer's identity.
 */
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import type { Clock, Random } from "../../runtime.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { KafkaError } from "../protocol/errors.ts";
import { initProducerId } from "../protocol/transactions.ts";
import { BaseProducer, type ProducerOptions } from "./base-producer.ts";
import type { PartitionQueue } from "./partition-queue.ts";
import type { ProducerStamp, RecordBatch } from "./producer-batch.ts";
import type { SenderHooks } from "./sender.ts";
import type { Sink, TransactionalSink } from "./sink.ts";
import { TransactionalProducer } from "./transactional-producer.ts";

export type { ProducerOptions } from "./base-producer.ts";

/** A sink that retries for ever and repeats nothing while the broker remembers the producer. */
export function createProducer(
  client: KafkaClient,
  options: ProducerOptions,
  clock: Clock,
  random: Random,
  log: Log,
): Sink {
  return new Producer(client, options, clock, random, log);
}

/** A sink whose batches are sent only as parts of transactions of `transactionalId`. */
export function createTransactionalProducer(
  client: KafkaClient,
  options: ProducerOptions & { transactionalId: string },
  clock: Clock,
  random: Random,
  log: Log,
): TransactionalSink {
  if (options.acks !== -1) {
    throw new LogagentError("USAGE", `exactly-once delivery needs acks "all", not ${options.acks}`);
  }
  return new TransactionalProducer(client, options, clock, random, log);
}

class Producer extends BaseProducer {
  private stamp: ProducerStamp | null = null;
  /** Batches closed or open that are not settled; `flush` waits for none. */
  private unsettled = 0;
  private waiters: (() => void)[] = [];

  protected override hooks(): SenderHooks {
    return {
      event: (event) => this.event(event),
      done: (batch, outcome) => {
        this.unsettled--;
        this.settle(batch, outcome);
        if (this.isEmpty) for (const wake of this.waiters.splice(0)) wake();
      },
      split: (_, parts) => {
        this.unsettled += parts.length - 1;
      },
      aborted: () => {},
      partitionsGone: () => {},
      newProducer: () => this.initialise(),
      producer: () => this.stamp,
      ended: () => {},
    };
  }

  protected override closed(batch: RecordBatch, queue: PartitionQueue): void {
    this.unsettled++;
    queue.queue.push(batch);
    this.sender.active.add(queue);
  }

  private get isEmpty(): boolean {
    return this.unsettled === 0 && this.accumulator.openQueues.size === 0;
  }

  protected override async prepareProducer(): Promise<void> {
    if (this.stamp) return;
    if (this.options.acks === -1) this.stamp = await this.initialise();
    else this.stamp = { id: -1n, epoch: -1, transactional: false };
  }

  private async initialise(): Promise<ProducerStamp> {
    let stamp: ProducerStamp | null = null;
    await this.forever("asking for a producer id", async () => {
      const answer = await this.client.send("any", initProducerId(null, 60_000, null));
      if (answer.errorCode !== 0) throw new KafkaError(answer.errorCode, "asking for a producer id");
      stamp = { id: answer.id, epoch: answer.epoch, transactional: false };
      return true;
    });
    return stamp as unknown as ProducerStamp;
  }

  override async flush(deadline: number): Promise<boolean> {
    this.accumulator.closeAll();
    this.sender.pump();
    if (this.isEmpty) return true;
    return new Promise((resolve) => {
      const cancel = this.clock.after(deadline, () => resolve(false));
      this.waiters.push(() => {
        cancel();
        resolve(true);
      });
    });
  }
}
