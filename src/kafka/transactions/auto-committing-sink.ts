/**
 * A sink that commits by itself: what is appended goes out in transactions, and a batch is acknowledged when its
 * transaction is committed. For producers without positions of their own, so there is no offset to commit with it.
 *
 * A lost answer to EndTxn is resolved by asking again: the coordinator answers a commit it has made with success, one it
 * could not make (the transaction timed out, which bumps the epoch) with INVALID_PRODUCER_EPOCH, PRODUCER_FENCED or
 * INVALID_TXN_STATE (TransactionCoordinator.endTransaction of Kafka). A late copy of the request cannot touch the next
 * transaction, since InitProducerId comes before it.
 */
import { backoff } from "../../backoff.ts";
import { LogagentError } from "../../errors.ts";
import type { Lines } from "../../lines.ts";
import { type Clock, type Random, sleep } from "../../runtime.ts";
import type { Batch, Cut, Outcome, Route, Sink, TransactionalSink } from "../producer/sink.ts";
import { codes, KafkaError } from "../protocol/errors.ts";
import {
  abandonWithin,
  type ProducerIdentity,
  partitionsOf,
  type TransactionCoordinator,
  UnresolvedError,
} from "./coordinator.ts";

export interface CommittingOptions {
  sink: TransactionalSink;
  /** A coordinator whose waits the signal ends. */
  coordinator: (signal: AbortSignal) => TransactionCoordinator;
  clock: Clock;
  random: Random;
  /** transaction.timeout.ms: a fence after so long may be the coordinator's own. */
  timeoutMs: number;
  /** Somebody else may use the transactional id: being fenced ends the producer. */
  shared: boolean;
  transactionBytes: number;
  /** Milliseconds. */
  transactionInterval: number;
}

const fences: ReadonlySet<number> = new Set([codes.INVALID_PRODUCER_EPOCH, codes.PRODUCER_FENCED]);
/** How long the end may be delayed to abort a transaction, milliseconds. */
const abandonTimeout = 2000;

const forbidden = /AUTHORIZATION_FAILED|UNSUPPORTED_|SASL/;

export class CommittingSink implements Sink {
  private readonly options: CommittingOptions;
  private readonly sink: TransactionalSink;
  private readonly coordinator: TransactionCoordinator;
  private readonly abort = new AbortController();
  /** A transaction that was begun and not ended for certain. */
  private open: ProducerIdentity | null = null;
  private producer: Promise<ProducerIdentity> | null = null;
  private bytes = 0;
  private timer: (() => void) | null = null;
  private delivering: Promise<void> | null = null;
  /** A commit was asked for while another one was under way. */
  private due = false;
  private failure: unknown = null;
  private room = () => {};
  private waiters: (() => void)[] = [];

  constructor(options: CommittingOptions) {
    this.options = options;
    this.sink = options.sink;
    this.coordinator = options.coordinator(this.abort.signal);
  }

  async prepare(topic: string): Promise<void> {
    await this.sink.prepare(topic);
    this.producer ??= this.claim();
    await this.producer;
  }

  partitions(topic: string): number {
    return this.sink.partitions(topic);
  }

  /** Throws what ended the producer. */
  hasRoom(topic: string): boolean {
    this.throwFailure();
    const room = () => this.bytes < this.options.transactionBytes && this.sink.hasRoom(topic);
    if (room()) return true;
    this.commitSoon();
    return room();
  }

  onRoom(f: () => void): void {
    this.room = f;
    this.sink.onRoom(f);
  }

  onMissing(f: (topic: string) => void): void {
    this.sink.onMissing(f);
  }

  append(lines: Lines, route: Route): void {
    this.sink.append(lines, route);
    this.bytes += lines.to - lines.base;
    if (this.bytes >= this.options.transactionBytes) this.commitSoon();
    else this.timer ??= this.options.clock.after(this.options.transactionInterval, () => this.commitSoon());
  }

  onSettled(f: (batch: Batch, outcome: Outcome) => void): void {
    this.sink.onSettled(f);
  }

  /** Commits what was appended. Throws what ended the producer: LogagentError FENCED, AUTHORIZATION, BROKER_REFUSED. */
  async flush(deadline: number): Promise<boolean> {
    this.commitSoon();
    if (this.delivering !== null) {
      const { clock } = this.options;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(deadline, resolve);
        this.waiters.push(() => {
          cancel();
          resolve();
        });
      });
    }
    this.throwFailure();
    return this.delivering === null && this.sink.buffered === 0;
  }

  get buffered(): number {
    return this.sink.buffered;
  }

  /** A transaction under way is aborted, so that it holds no readers back; only where its coordinator answers. */
  async close(): Promise<void> {
    this.timer?.();
    this.abort.abort(new LogagentError("BROKER_UNAVAILABLE", "producing: closed before the commit"));
    if (this.open !== null) await abandonWithin(this.coordinator, this.open, this.options.clock, abandonTimeout);
    await this.sink.close();
  }

  private throwFailure(): void {
    if (this.failure !== null) throw this.failure;
  }

  /** One transaction at a time: while one is under way, the next is begun right behind it. */
  private commitSoon(): void {
    this.timer?.();
    this.timer = null;
    this.due = this.delivering !== null;
    if (this.due || this.failure !== null) return;
    const cut = this.sink.cut();
    if (cut === null) return;
    this.bytes = 0;
    this.delivering = this.deliver(cut)
      .catch((error) => {
        this.failure = refused(error);
      })
      .finally(() => {
        this.delivering = null;
        if (this.due) this.commitSoon();
        for (const wake of this.waiters.splice(0)) wake();
        this.room();
      });
    this.room();
  }

  /** In as many transactions as it takes until one is committed. */
  private async deliver(cut: Cut): Promise<void> {
    const { clock, random } = this.options;
    const { signal } = this.abort;
    for (let attempt = 1; ; attempt++) {
      if (await this.transact(cut)) {
        this.sink.release(cut);
        return;
      }
      await sleep(clock, backoff(attempt, random), signal);
      signal.throwIfAborted();
    }
  }

  /** True when it was committed; after false, or a doubt that was resolved, the producer has a new epoch. */
  private async transact(cut: Cut): Promise<boolean> {
    const { coordinator } = this;
    const { clock } = this.options;
    const producer = (await this.producer) as ProducerIdentity;
    const began = clock.monotonic();
    let ending = false;
    this.open = producer;
    try {
      await coordinator.addPartitions(producer, partitionsOf(cut));
      await this.sink.send(cut);
      ending = true;
      await coordinator.end(producer, true);
      this.open = null;
      return true;
    } catch (error) {
      const committed = await this.verdict(error, producer, ending, began);
      this.producer = this.claim();
      await this.producer;
      return committed;
    }
  }

  /** Whether the transaction that failed with this error was committed all the same. */
  private async verdict(error: unknown, producer: ProducerIdentity, ending: boolean, began: number): Promise<boolean> {
    const { clock, random, shared, timeoutMs } = this.options;
    const { signal } = this.abort;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      if (error instanceof KafkaError) {
        const early = clock.monotonic() - began < timeoutMs;
        if (forbidden.test(error.name)) throw error;
        // In doubt only these say that the transaction ended without a commit.
        if (attempt > 1 && !fences.has(error.code) && error.code !== codes.INVALID_TXN_STATE) throw error;
        if (shared && fences.has(error.code) && (early || attempt > 1)) throw fenced(error);
        return false;
      }
      const lost = error instanceof UnresolvedError;
      if (!lost && !(error instanceof LogagentError && error.code === "BROKER_UNAVAILABLE")) throw error;
      if (!ending) return false;
      await sleep(clock, backoff(attempt, random), signal);
      try {
        await this.coordinator.end(producer, true);
        return true;
      } catch (next) {
        error = next;
      }
    }
  }

  /** The producer's identity with a new epoch, which ends a pending transaction of the id. */
  private async claim(): Promise<ProducerIdentity> {
    try {
      const producer = await this.coordinator.init();
      this.open = null;
      this.sink.setProducer(producer);
      return producer;
    } catch (error) {
      throw refused(error);
    }
  }
}

function fenced(error: KafkaError): LogagentError {
  return new LogagentError(
    "FENCED",
    `producing: ${error.message}: another producer took over the transactional id; what was not acknowledged may not be in the topic`,
    error,
  );
}

/** What Kafka does not allow, in the program's own words. */
function refused(error: unknown): unknown {
  if (!(error instanceof KafkaError)) return error;
  return new LogagentError(forbidden.test(error.name) ? "AUTHORIZATION" : "BROKER_REFUSED", error.message, error);
}
