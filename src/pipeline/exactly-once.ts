/**
 * Exactly once (DESIGN §4): a transaction holds the lines of a cut and, as the offset of the agent's own group, the number
 * of the checkpoint behind them. The checkpoint is durable before the transaction is committed, so after any crash the
 * group's stable offset says which checkpoint is true.
 *
 * Where the protocol has holes, and what closes them here:
 * - A request whose answer was lost may take effect later, inside the next transaction: never sent again with the same
 *   epoch; InitProducerId voids it and the stable offset tells what became of the transaction (`kafka/transaction.ts`).
 * - A TxnOffsetCommit that arrives behind its transaction's end leaves the offset unstable for ever, since no marker
 *   follows: an empty, aborted transaction over the group writes one (`settleGroup`).
 * - The very first transaction of a start might be killed before its offset exists, and a missing offset would look like
 *   a lost one: a start claims with a transaction without lines whose checkpoint is true by itself, before any line.
 * - Two copies of one journal could write the same number: an offset counts only with a nonce this journal wrote down
 *   before using it.
 * - A topic that was deleted takes its offset with it: the number goes to all topics, the highest one counts.
 * - Lines that were only skipped move positions without a transaction: such a checkpoint is true by itself.
 */
import { randomBytes } from "node:crypto";
import { LogagentError } from "../errors.ts";
import { KafkaError } from "../kafka/errors.ts";
import type { Cut, TransactionalSink } from "../kafka/sink.ts";
import { type ProducerIdentity, type TransactionCoordinator, UnresolvedError } from "../kafka/transaction.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Seldom } from "../observe/seldom.ts";
import { type Clock, type Random, sleep } from "../runtime.ts";
import type { Journal } from "../state/journal.ts";
import type { FileState } from "../state/types.ts";
import { changes } from "./at-least-once.ts";
import type { CheckpointSource, Delivery } from "./delivery.ts";
import type { Delta } from "./ledger.ts";
import { highestMark, type Mark, trueCheckpoint } from "./true-checkpoint.ts";
import { Wake } from "./wake.ts";

export interface ExactlyOnceOptions {
  sink: TransactionalSink;
  coordinator: TransactionCoordinator;
  journal: Journal;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** A transaction is committed when it has so many bytes or so many milliseconds passed since its first line. */
  transactionBytes: number;
  transactionInterval: number;
  recover: "repeat" | "skip" | null;
  /** Ends the waits of `coordinator`. */
  abort: AbortController;
}

/** The number is committed anew after so long, since group offsets expire; milliseconds. */
const recommitInterval = 12 * 3600_000;
/** How long offsets may stay unstable after InitProducerId before a marker is written for them; milliseconds. */
const unstablePatience = 3000;

export class ExactlyOnce implements Delivery {
  readonly sink: TransactionalSink;
  private readonly options: ExactlyOnceOptions;
  private readonly nonce = randomBytes(8).toString("hex");
  private readonly wake: Wake;
  private readonly seldom: Seldom;
  private producer: ProducerIdentity | null = null;
  private source: CheckpointSource | null = null;
  private running: Promise<void> = Promise.resolve();
  private firstAppend: number | null = null;
  private full = false;
  private stopping = false;
  private requestStop = () => {};
  private readonly stopRequested = new Promise<void>((resolve) => {
    this.requestStop = resolve;
  });
  private resolved: Promise<void> = Promise.resolve();
  private lastCommit = 0;
  /** The last attempt failed because the journal could not be written. */
  private journalFailed = false;

  constructor(options: ExactlyOnceOptions) {
    this.options = options;
    this.sink = options.sink;
    this.wake = new Wake(options.clock);
    this.seldom = new Seldom(options.clock);
  }

  async open(connected: Promise<void>): Promise<ReadonlyMap<string, FileState>> {
    const { journal } = this.options;
    this.resolved = connected.then(() => this.resolveStart());
    this.resolved.catch(() => {});
    // With nothing in doubt the files are looked at now: what is rotated away before the brokers answer is not missed.
    if (journal.pending.length > 0) await this.resolved;
    return journal.state;
  }

  run(source: CheckpointSource): Promise<void> {
    this.source = source;
    this.sink.onSettled((batch, outcome) => source.settled(batch, outcome));
    this.running = this.keepCommitting(source).catch((error) => Promise.reject(refused(error)));
    return this.running;
  }

  /** Ends what an earlier start left behind and finds the checkpoint that is true. */
  private async resolveStart(): Promise<void> {
    const { journal, recover, log } = this.options;
    const mark = await this.takeOver().catch((error) => Promise.reject(refused(error)));
    const n = trueCheckpoint(journal, mark, recover);
    if (mark !== null && n < mark.n) journal.nextNumber(mark.n);
    if (n === journal.confirmed) return;
    log.info("the last transaction was committed", { checkpoint: n });
    journal.confirm(n);
  }

  appended(topic: string): void {
    if (this.firstAppend === null) {
      this.firstAppend = this.options.clock.monotonic();
      this.wake.ring();
    }
    if (this.full) return;
    this.full = this.sink.buffered >= this.options.transactionBytes || !this.sink.hasRoom(topic);
    if (this.full) this.wake.ring();
  }

  async stop(timeout: number): Promise<boolean> {
    const { clock, abort } = this.options;
    this.stopping = true;
    this.requestStop();
    this.wake.ring();
    let ended = false;
    const running = this.running.then(() => {
      ended = true;
    });
    await Promise.race([running, sleep(clock, timeout, abort.signal)]);
    if (ended) return this.sink.buffered === 0;
    abort.abort(new LogagentError("BROKER_UNAVAILABLE", "stopping: the transaction could not be committed in time"));
    running.catch(() => {});
    return false;
  }

  private async keepCommitting(source: CheckpointSource): Promise<void> {
    // Where `--from end` began must survive a kill. Only for a new journal: in an old one, which may be a restored copy,
    // no number is used before Kafka was asked.
    if (this.options.journal.highest === 0) await this.writeSkipped(source);
    await Promise.race([this.resolved, this.stopRequested]);
    if (this.producer === null) return;
    while (source.topics().length === 0 && !this.stopping) await this.wake.sleep(20);
    if (source.topics().length > 0) await this.claim(source);
    for (;;) {
      const due = await this.nextDue();
      const cut = due === "recommit" ? null : this.cut();
      if (cut !== null) await this.deliver(cut, source);
      else if (due === "recommit") await this.claim(source);
      else if (due === "stop") break;
    }
    await this.writeSkipped(source);
  }

  private cut(): Cut | null {
    this.firstAppend = null;
    this.full = false;
    return this.sink.cut();
  }

  /** Waits until lines are to be committed. */
  private async nextDue(): Promise<"lines" | "recommit" | "stop"> {
    const { clock, transactionInterval } = this.options;
    for (;;) {
      if (this.stopping) return "stop";
      const now = clock.monotonic();
      const due = this.firstAppend === null ? Number.POSITIVE_INFINITY : this.firstAppend + transactionInterval;
      if (this.full || now >= due) return "lines";
      const recommit = this.lastCommit + recommitInterval;
      if (now >= recommit) return "recommit";
      await this.wake.sleep(Math.min(due, recommit) - now);
    }
  }

  /** One cut, in as many transactions as it takes until one is committed. Its memory is held until then. */
  private async deliver(cut: Cut, source: CheckpointSource): Promise<void> {
    for (const batch of cut.batches) {
      for (const range of batch.ranges) source.positions.settle(range.file, range.from, range.to);
    }
    const delta = source.take() ?? { files: [], removed: [] };
    for (let attempt = 0; ; attempt++) {
      const n = this.options.journal.nextNumber();
      if (await this.transact(n, delta, cut)) {
        this.options.journal.confirm(n);
        this.sink.release(cut);
        return;
      }
      await this.backOff(attempt);
    }
  }

  /** Claims the id, or keeps the claim alive: a transaction without lines. */
  private async claim(source: CheckpointSource): Promise<void> {
    const { journal } = this.options;
    const nonces = [...(journal.header.nonces ?? []), this.nonce];
    await this.durably(() => journal.updateHeader({ nonces: [...new Set(nonces)] }));
    for (let attempt = 0; ; attempt++) {
      const n = await this.writeSkipped(source, true);
      if (await this.transact(n, null, null)) break;
      await this.backOff(attempt);
    }
    await this.durably(() => journal.updateHeader({ nonces: [this.nonce] }));
  }

  /** A checkpoint that is true without a transaction, since it moves over no line that goes to Kafka; its number. */
  private async writeSkipped(source: CheckpointSource, always = false): Promise<number> {
    const { journal, metrics } = this.options;
    const delta = source.take() ?? (always ? { files: [], removed: [] } : null);
    if (delta === null) return 0;
    const n = journal.nextNumber();
    await this.durably(() => journal.append({ n, base: journal.confirmed, confirmed: true, ...changes(delta) }));
    metrics.count("checkpoints_total");
    return n;
  }

  /** Whether the transaction with this checkpoint was committed. After false the producer has a new epoch. */
  private async transact(n: number, delta: Delta | null, cut: Cut | null): Promise<boolean> {
    const { coordinator, journal, metrics, log, clock } = this.options;
    const producer = this.producer as ProducerIdentity;
    let ending = false;
    try {
      const checkpoint = () => this.writeCheckpoint(n, delta as Delta);
      // While the journal cannot be written, no transaction is opened in vain.
      if (this.journalFailed && delta !== null) await checkpoint();
      const durable = delta === null || this.journalFailed ? Promise.resolve() : checkpoint();
      durable.catch(() => {});
      if (cut !== null) await coordinator.addPartitions(producer, partitionsOf(cut));
      const parts = [durable, cut === null ? null : this.sink.send(cut), this.commitNumber(producer, n)];
      const results = await Promise.allSettled(parts);
      const failed = results.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
      this.journalFailed = false;
      ending = true;
      await coordinator.end(producer, true);
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
      if (this.journalFailed && !journal.broken) await this.pauseForJournal(error);
      return committed;
    }
  }

  private async commitNumber(producer: ProducerIdentity, n: number): Promise<void> {
    const { coordinator } = this.options;
    const topics = this.source?.topics() ?? [];
    await coordinator.addGroup(producer);
    const mark = { partition: 0, offset: BigInt(n), metadata: this.nonce };
    await coordinator.commitOffsets(
      producer,
      topics.map((topic) => ({ topic, ...mark })),
    );
  }

  private async writeCheckpoint(n: number, delta: Delta): Promise<void> {
    const { journal, metrics } = this.options;
    try {
      await journal.append({ n, base: journal.confirmed, ...changes(delta) });
      metrics.count("checkpoints_total");
    } catch (error) {
      metrics.count("checkpoint_errors_total");
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
    if (mark !== null && mark.nonce !== this.nonce && !journal.header.nonces?.includes(mark.nonce)) {
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

  /** Claims the id, which ends every older transaction one way or the other, and reads what is committed. */
  private async takeOver(): Promise<Mark | null> {
    const { coordinator } = this.options;
    for (;;) {
      const producer = await coordinator.init();
      const offsets = await coordinator.stableOffsets(unstablePatience);
      if (offsets !== null) {
        this.producer = producer;
        this.sink.setProducer(producer);
        return highestMark(offsets);
      }
      await this.settleGroup(producer);
    }
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
    return !(error instanceof KafkaError) || authorization.test(error.name);
  }

  /** Writes to the journal as soon as it can be written. */
  private async durably(write: () => Promise<void>): Promise<void> {
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

  private async pauseForJournal(error: unknown): Promise<void> {
    const { log, clock, abort } = this.options;
    if (this.seldom.say("journal") !== null) {
      log.error(`${(error as Error).message}; nothing is committed until the state can be written`);
    }
    await sleep(clock, 1000, abort.signal);
    abort.signal.throwIfAborted();
  }

  private async backOff(attempt: number): Promise<void> {
    const { clock, random, abort } = this.options;
    if (this.journalFailed) return; // it has paused already
    await sleep(clock, Math.min(20 * 2 ** attempt, 2000) * (0.5 + random()), abort.signal);
    abort.signal.throwIfAborted();
  }
}

const authorization = /AUTHORIZATION_FAILED|UNSUPPORTED_|SASL/;

/** What Kafka does not allow, in the program's own words. */
function refused(error: unknown): unknown {
  if (!(error instanceof KafkaError)) return error;
  return new LogagentError(authorization.test(error.name) ? "AUTHORIZATION" : "BROKER_REFUSED", error.message, error);
}

function partitionsOf(cut: Cut): { topic: string; partition: number }[] {
  const byName = new Map(cut.batches.map(({ topic, partition }) => [`${topic} ${partition}`, { topic, partition }]));
  return [...byName.values()];
}
