/**
 * One transaction at a time, from its first request to a certain verdict: committed or not. See `exactly-once.ts` for the
 * protocol and `transactions/coordinator.ts` for why a lost answer means a new epoch.
 */
import { backoff } from "../../backoff.ts";
import { LogagentError } from "../../errors.ts";
import type { Batch, Cut, TransactionalSink } from "../../kafka/producer/sink.ts";
import { KafkaError } from "../../kafka/protocol/errors.ts";
import {
  abandonWithin,
  type ProducerIdentity,
  partitionsOf,
  type TransactionCoordinator,
  UnresolvedError,
} from "../../kafka/transactions/coordinator.ts";
import type { Log } from "../../observe/log.ts";
import { Seldom } from "../../observe/log-throttle.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { type Clock, type Random, sleep } from "../../runtime.ts";
import type { Journal } from "../../state/journal.ts";
import type { Delta } from "../checkpoint/dirty-files.ts";
import { changes } from "./at-least-once.ts";
import { highestMark, type Mark } from "./resolve-checkpoint.ts";

export interface CommitterOptions {
  sink: TransactionalSink;
  coordinator: TransactionCoordinator;
  journal: Journal;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Of this start; tells its offsets from those of others. */
  nonce: string;
  /** Topics on whose partition 0 the number is committed. */
  topics: () => readonly string[];
  /** See `CheckpointSource.bind`. */
  bind: (batches: readonly Batch[]) => Promise<void>;
  /** Ends all waits. */
  abort: AbortController;
}

/** How long offsets may stay unstable after InitProducerId before a marker is written for them; milliseconds. */
const unstablePatience = 3000;

/** How long the end may be delayed to abort a transaction, milliseconds. */
const abandonTimeout = 1000;

/** Codes that name what neither a retry nor a new epoch mends. */
export const forbidden = /AUTHORIZATION_FAILED|UNSUPPORTED_|SASL/;

export class Committer {
  /** Monotonic milliseconds. */
  lastCommit = 0;
  private readonly options: CommitterOptions;
  private readonly seldom: Seldom;
  private producer: ProducerIdentity | null = null;
  /** A transaction may be open that is not known to have ended. */
  private pending = false;
  /** The last attempt failed because the journal could not be written. */
  private journalFailed = false;

  constructor(options: CommitterOptions) {
    this.options = options;
    this.seldom = new Seldom(options.clock);
  }

  /** The id was taken over. */
  get ready(): boolean {
    return this.producer !== null;
  }

  /** Claims the id, which ends every older transaction one way or the other, and reads what is committed. */
  async takeOver(): Promise<Mark | null> {
    const { coordinator } = this.options;
    for (;;) {
      const producer = await coordinator.init();
      const offsets = await coordinator.stableOffsets(unstablePatience);
      if (offsets !== null) {
        this.producer = producer;
        this.pending = false;
        this.options.sink.setProducer(producer);
        return highestMark(offsets);
      }
      await this.settleGroup(producer);
    }
  }

  /**
   * Sends `cut` and commits it with number `n`, whose checkpoint `delta` is made durable first (null: it is already).
   * The result says whether it was committed; after false the producer has a new epoch. Throws LogagentError FENCED,
   * STATE_MISMATCH, STATE_IO and KafkaError for what ends the agent.
   */
  async transact(n: number, delta: Delta | null, cut: Cut | null): Promise<boolean> {
    const { coordinator, journal, metrics, log, clock } = this.options;
    const producer = this.producer as ProducerIdentity;
    let ending = false;
    this.pending = true;
    try {
      const checkpoint = () => this.writeCheckpoint(n, delta as Delta);
      // While the journal cannot be written, no transaction is opened in vain.
      if (this.journalFailed && delta !== null) await checkpoint();
      const durable = delta === null || this.journalFailed ? Promise.resolve() : checkpoint();
      durable.catch(() => {});
      // The number goes ahead: behind the lines it would wait in the connection until the broker has taken them all.
      const parts = [durable, this.commitNumber(producer, n), cut === null ? null : this.sendLines(producer, cut)];
      const results = await Promise.allSettled(parts);
      const failed = results.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
      if (cut !== null) await this.keeping(this.options.bind(cut.batches));
      this.journalFailed = false;
      ending = true;
      await coordinator.end(producer, true);
      this.pending = false;
      this.lastCommit = clock.monotonic();
      metrics.count("transactions_total", { outcome: "committed" });
      this.seldom.clear("aborted");
      return true;
    } catch (error) {
      if (this.isFatal(error)) throw error;
      if (this.seldom.say("aborted") !== null) {
        log.warn("a transaction did not go through and is resolved", {
          checkpoint: n,
          error: (error as Error).message,
        });
      }
      const mark = await this.takeOver();
      // A claim without lines that was not committed is simply made again.
      const committed = this.judge(n, mark, ending && delta !== null);
      metrics.count("transactions_total", { outcome: committed ? "committed" : "aborted" });
      if (!committed && mark === null) await this.noteAbort();
      if (this.journalFailed && !journal.broken) await this.pauseForJournal(error);
      return committed;
    }
  }

  /**
   * For the end, when all waits have ended: aborts a transaction that is open still. Whether it was committed after all,
   * the next start finds out.
   */
  async abandon(): Promise<void> {
    const { coordinator, clock } = this.options;
    if (this.pending && this.producer !== null) await abandonWithin(coordinator, this.producer, clock, abandonTimeout);
  }

  /** Writes to the journal as soon as it can be written. */
  async durably(write: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await write();
        return;
      } catch (error) {
        if (this.isFatal(error)) throw error;
        await this.pauseForJournal(error);
      }
    }
  }

  /** A pause before the next attempt. */
  async backOff(attempt: number): Promise<void> {
    const { clock, random, abort } = this.options;
    if (this.journalFailed) return; // it has paused already
    await sleep(clock, backoff(attempt + 1, random, 20, 2000), abort.signal);
    abort.signal.throwIfAborted();
  }

  private async sendLines(producer: ProducerIdentity, cut: Cut): Promise<void> {
    await this.options.coordinator.addPartitions(producer, partitionsOf(cut));
    await this.options.sink.send(cut);
  }

  private async commitNumber(producer: ProducerIdentity, n: number): Promise<void> {
    const { coordinator } = this.options;
    const topics = this.options.topics();
    await coordinator.addGroup(producer);
    const mark = { partition: 0, offset: BigInt(n), metadata: this.options.nonce };
    await coordinator.commitOffsets(
      producer,
      topics.map((topic) => ({ topic, ...mark })),
    );
  }

  private async writeCheckpoint(n: number, delta: Delta): Promise<void> {
    const { journal, metrics } = this.options;
    try {
      await this.keeping(journal.append({ n, base: journal.confirmed, ...changes(delta) }));
      metrics.count("checkpoints_total");
    } catch (error) {
      metrics.count("checkpoint_errors_total");
      throw error;
    }
  }

  /** Takes note when writing to the journal fails. */
  private async keeping(written: Promise<void>): Promise<void> {
    try {
      await written;
    } catch (error) {
      this.journalFailed = true;
      throw error;
    }
  }

  /**
   * What the offsets say of transaction `n` after it was resolved. The nonce of another start means that somebody else
   * runs with this id; `inDoubt` says that a commit of lines was asked for.
   */
  private judge(n: number, mark: Mark | null, inDoubt: boolean): boolean {
    const { journal } = this.options;
    if (mark !== null && mark.nonce !== this.options.nonce && !journal.header.nonces?.includes(mark.nonce)) {
      throw new LogagentError(
        "FENCED",
        `committing checkpoint ${n} failed: another agent runs with the id ${journal.header.agent} (it has committed checkpoint ${mark.n}); give each agent an id and a state of its own`,
      );
    }
    if (mark?.n === n) return true;
    if (!inDoubt || mark !== null) return false;
    throw new LogagentError(
      "STATE_MISMATCH",
      `committing checkpoint ${n} failed: the answer was lost and Kafka has no offset of the agent's group any more; start again with --recover repeat or --recover skip`,
    );
  }

  /** Kafka holds no number that could tell the next start of it, since the topics are gone: the journal must. */
  private async noteAbort(): Promise<void> {
    const { journal } = this.options;
    if (journal.pending.length === 0) return;
    const back = () => ({ n: journal.nextNumber(), base: journal.confirmed, confirmed: true, files: [] }) as const;
    await this.durably(() => journal.append(back()));
  }

  /** Writes an abort marker behind whatever is pending in the group. */
  private async settleGroup(producer: ProducerIdentity): Promise<void> {
    const { coordinator, log } = this.options;
    try {
      await coordinator.addGroup(producer);
      await coordinator.end(producer, false);
    } catch (error) {
      if (this.isFatal(error)) throw error;
      log.debug("settling the group's offsets: trying again", { error: (error as Error).message });
    }
  }

  /** True for what neither a retry nor a new epoch mends. */
  private isFatal(error: unknown): boolean {
    const { journal, abort } = this.options;
    if (journal.broken || abort.signal.aborted) return true;
    if (error instanceof UnresolvedError) return false;
    if (error instanceof LogagentError) return error.code !== "STATE_IO" && error.code !== "BROKER_UNAVAILABLE";
    return !(error instanceof KafkaError) || forbidden.test(error.name);
  }

  private async pauseForJournal(error: unknown): Promise<void> {
    const { log, clock, abort } = this.options;
    if (this.seldom.say("journal") !== null) {
      log.error(`${(error as Error).message}; nothing is committed until the state can be written`);
    }
    await sleep(clock, 1000, abort.signal);
    abort.signal.throwIfAborted();
  }
}
