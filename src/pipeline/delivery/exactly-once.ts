/**
 * Exactly once: a transaction holds the lines of a cut and, as the offset of the agent's own group, the number
 * of the checkpoint behind them. The checkpoint is durable before the transaction is committed, so after any crash the
 * group's stable offset says which checkpoint is true.
 *
 * Where the protocol has holes, and what closes them here:
 * - A request whose answer was lost may take effect later, inside the next transaction: never sent again with the same
 *   epoch; InitProducerId voids it and the stable offset tells what became of the transaction (`transactions/coordinator.ts`).
 * - A TxnOffsetCommit that arrives behind its transaction's end leaves the offset unstable for ever, since no marker
 *   follows: an empty, aborted transaction over the group writes one (`transaction-committer.ts`).
 * - The very first transaction of a start might be killed before its offset exists, and a missing offset would look like
 *   a lost one: a start claims with a transaction without lines whose checkpoint is true by itself, before any line.
 * - Two copies of one journal could write the same number: an offset counts only with a nonce this journal wrote down
 *   before using it.
 * - A topic that was deleted takes its offset with it: the number goes to all topics, the highest one counts.
 * - Lines that were only skipped move positions without a transaction: such a checkpoint is true by itself.
 * - A topic that is gone would hold up the transactions of all: its lines and positions wait apart (`suspended-topics.ts`).
 */
import { randomBytes } from "node:crypto";
import { LogagentError } from "../../errors.ts";
import type { Cut, TransactionalSink } from "../../kafka/producer/sink.ts";
import { KafkaError } from "../../kafka/protocol/errors.ts";
import type { TransactionCoordinator } from "../../kafka/transactions/coordinator.ts";
import type { Log } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { type Clock, type Random, sleep } from "../../runtime.ts";
import type { Journal } from "../../state/journal.ts";
import type { FileState } from "../../state/types.ts";
import type { Delta } from "../checkpoint/dirty-files.ts";
import { Wake } from "../wakeup.ts";
import { changes } from "./at-least-once.ts";
import { type CheckpointSource, type Delivery, late } from "./delivery.ts";
import { trueCheckpoint } from "./resolve-checkpoint.ts";
import { HeldTopics } from "./suspended-topics.ts";
import { Committer, forbidden } from "./transaction-committer.ts";

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

/** Milliseconds between two looks whether a topic that is held is there again. */
const lookInterval = 500;

/** The number is committed anew after so long, since group offsets expire; milliseconds. */
const recommitInterval = 12 * 3600_000;
export class ExactlyOnce implements Delivery {
  readonly sink: TransactionalSink;
  private readonly options: ExactlyOnceOptions;
  private readonly nonce = randomBytes(8).toString("hex");
  private readonly wake: Wake;
  private readonly committer: Committer;
  private readonly held: HeldTopics;
  private source: CheckpointSource | null = null;
  private running: Promise<void> = Promise.resolve();
  private firstAppend: number | null = null;
  /** Appended since the last cut. */
  private bytes = 0;
  /** Topics the sink had no memory for since the last cut. */
  private readonly refused = new Set<string>();
  private room = () => {};
  private stopping = false;
  /** No lines come any more. */
  private finished = false;
  private requestStop = () => {};
  private readonly stopRequested = new Promise<void>((resolve) => {
    this.requestStop = resolve;
  });
  private resolved: Promise<void> = Promise.resolve();

  constructor(options: ExactlyOnceOptions) {
    this.options = options;
    this.sink = options.sink;
    this.wake = new Wake(options.clock);
    this.held = new HeldTopics(options);
    this.committer = new Committer({
      ...options,
      nonce: this.nonce,
      topics: () => this.source?.topics() ?? [],
      bind: async (batches) => this.source?.bind(batches),
    });
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
    const mark = await this.committer.takeOver().catch((error) => Promise.reject(refused(error)));
    const n = trueCheckpoint(journal, mark, recover);
    if (mark !== null && n < mark.n) journal.nextNumber(mark.n);
    if (n === journal.confirmed) return;
    log.info("the last transaction was committed", { checkpoint: n });
    journal.confirm(n);
  }

  /** A transaction takes no more than its size: what comes then waits in the files until the next one begins. */
  hasRoom(topic: string): boolean {
    if (this.bytes >= this.options.transactionBytes) return false;
    if (this.sink.hasRoom(topic)) return true;
    this.refused.add(topic);
    return false;
  }

  onRoom(f: () => void): void {
    this.room = f;
    this.sink.onRoom(f);
  }

  appended(topic: string, bytes: number): void {
    this.firstAppend ??= this.options.clock.monotonic();
    const first = this.bytes === 0;
    this.bytes += bytes;
    if (first || !this.hasRoom(topic)) this.wake.ring();
  }

  finish(): void {
    this.finished = true;
    this.wake.ring();
  }

  /** The transaction has its size, or the memory for more is taken. */
  private get full(): boolean {
    if (this.bytes >= this.options.transactionBytes) return true;
    // What stopped for want of memory while the last one was committed does not wait for a few bytes more.
    const enough = this.bytes >= this.options.transactionBytes / 2;
    const short = (topic: string) => !this.held.names.has(topic) && (enough || !this.sink.hasRoom(topic));
    return this.bytes > 0 && [...this.refused].some(short);
  }

  async stop(timeout: number): Promise<string | null> {
    const { clock, abort } = this.options;
    this.stopping = true;
    this.requestStop();
    this.wake.ring();
    let ended = false;
    const running = this.running.then(() => {
      ended = true;
    });
    await Promise.race([running, sleep(clock, timeout, abort.signal)]);
    if (ended) return this.unsettled();
    abort.abort(new LogagentError("BROKER_UNAVAILABLE", "stopping: the transaction could not be committed in time"));
    running.catch(() => {});
    await this.committer.abandon();
    return late(timeout);
  }

  /** Of bytes that nothing was waited for. */
  private unsettled(): string | null {
    if (this.sink.buffered === 0) return null;
    if (!this.committer.ready) return "were not sent: the transactional id was not claimed yet";
    return `wait for topic ${[...this.held.names].map((name) => `"${name}"`).join(", ")}, which is missing`;
  }

  private async keepCommitting(source: CheckpointSource): Promise<void> {
    // Where `--from end` began must survive a kill. Only for a new journal: in an old one, which may be a restored copy,
    // no number is used before Kafka was asked.
    if (this.options.journal.highest === 0) await this.writeSkipped(source);
    await Promise.race([this.resolved, this.stopRequested]);
    if (!this.committer.ready) return;
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
    this.held.review();
    const cut = this.sink.cut(this.held.names);
    this.firstAppend = null;
    this.bytes = 0;
    this.refused.clear();
    this.room();
    return cut;
  }

  /** Waits until lines are to be committed. */
  private async nextDue(): Promise<"lines" | "recommit" | "stop"> {
    const { clock, transactionInterval } = this.options;
    for (;;) {
      if (this.stopping) return "stop";
      const now = clock.monotonic();
      const due = this.firstAppend === null ? Number.POSITIVE_INFINITY : this.firstAppend + transactionInterval;
      if (this.full || now >= due || (this.finished && this.bytes > 0)) return "lines";
      const recommit = this.committer.lastCommit + recommitInterval;
      if (now >= recommit) return "recommit";
      if (this.held.review()) return "lines";
      const look = this.held.names.size > 0 ? now + lookInterval : Number.POSITIVE_INFINITY;
      await this.wake.sleep(Math.min(due, recommit, look) - now);
    }
  }

  /** One cut, in as many transactions as it takes until one is committed. Its memory is held until then. */
  private async deliver(cut: Cut, source: CheckpointSource): Promise<void> {
    for (const batch of cut.batches) {
      for (const range of batch.ranges) source.positions.settle(range.file, range.from, range.to);
    }
    let delta = this.held.take(source) ?? nothing;
    for (let attempt = 0; cut.batches.length > 0; attempt++) {
      const n = this.options.journal.nextNumber();
      if (await this.committer.transact(n, delta, cut)) {
        this.options.journal.confirm(n);
        break;
      }
      if (await this.held.takeOut(cut)) {
        source.putBack(delta);
        delta = cut.batches.length > 0 ? (this.held.take(source) ?? nothing) : nothing;
      }
      await this.committer.backOff(attempt);
    }
    this.sink.release(cut);
  }

  /** Claims the id, or keeps the claim alive: a transaction without lines. */
  private async claim(source: CheckpointSource): Promise<void> {
    const { journal } = this.options;
    const nonces = [...(journal.header.nonces ?? []), this.nonce];
    await this.committer.durably(() => journal.updateHeader({ nonces: [...new Set(nonces)] }));
    for (let attempt = 0; ; attempt++) {
      const n = await this.writeSkipped(source, true);
      if (await this.committer.transact(n, null, null)) break;
      await this.committer.backOff(attempt);
    }
    // Only tidies up: the first lines need not wait for it, and what ends the agent they will meet as well.
    this.committer.durably(() => journal.updateHeader({ nonces: [this.nonce] })).catch(() => {});
  }

  /** A checkpoint that is true without a transaction, since it moves over no line that goes to Kafka; its number. */
  private async writeSkipped(source: CheckpointSource, always = false): Promise<number> {
    const { journal, metrics } = this.options;
    const delta = this.held.take(source) ?? (always ? nothing : null);
    if (delta === null) return 0;
    const n = journal.nextNumber();
    await this.committer.durably(() =>
      journal.append({ n, base: journal.confirmed, confirmed: true, ...changes(delta) }),
    );
    metrics.count("checkpoints_total");
    return n;
  }
}

const nothing: Delta = { files: [], removed: [] };

/** What Kafka does not allow, in the program's own words. */
function refused(error: unknown): unknown {
  if (!(error instanceof KafkaError)) return error;
  return new LogagentError(forbidden.test(error.name) ? "AUTHORIZATION" : "BROKER_REFUSED", error.message, error);
}
