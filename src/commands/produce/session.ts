/** One run of produce: topics looked up, records appended as fast as there is room, and an end that is certain. */
import { LogagentError } from "../../errors.ts";
import type { Batch, Outcome, Route, Sink, SinkEvent } from "../../kafka/producer/sink.ts";
import type { Lines } from "../../lines.ts";
import type { Log } from "../../observe/log.ts";
import { badLine, type Parcel, sliceLines } from "./records.ts";

export interface SessionOptions {
  /** Milliseconds without an acknowledgement, while one is waited for, after which it is given up. */
  timeout: number;
  /** Milliseconds after which records that are not acknowledged are given up; null: never. */
  deliveryTimeout: number | null;
  /** Records per second; 0 is no limit. */
  rate: number;
  onAcked: (batch: Batch, outcome: Extract<Outcome, { kind: "acked" }>) => void;
}

/** With a rate: that many portions a second. */
const PORTIONS = 20;
/** Milliseconds without an answer after which it is said. */
const PATIENCE = 1000;

export class Session {
  dropped = 0;
  /** Names of the errors for which records were refused. */
  readonly droppedFor = new Set<string>();
  private readonly sink: Sink;
  private readonly options: SessionOptions;
  private readonly log: Log;
  private readonly prepared = new Set<string>();
  /** What was appended, oldest first: when, and how many records until then. */
  private readonly appended: { at: number; total: number }[] = [];
  /** Records appended so far. */
  total = 0;
  private settledTotal = 0;
  private progressAt = performance.now();
  private trouble: SinkEvent | null = null;
  /** It was said that nothing goes on. */
  private complained = false;
  private nextPortionAt = 0;
  private wake: (() => void) | null = null;

  constructor(sink: Sink, options: SessionOptions, log: Log) {
    this.sink = sink;
    this.options = options;
    this.log = log;
    sink.onSettled((batch, outcome) => this.settled(batch, outcome));
    sink.onRoom(() => this.wake?.());
  }

  /** What the sink says of itself: kept for the message when nothing goes on. */
  noticed(event: SinkEvent): void {
    if (event.name === "broker-available") this.trouble = null;
    else if (event.level === "warn" || event.level === "error") this.trouble = event;
    if (event.name === "producer-state-lost" || event.name === "record-refused") this.log.warn(event.message);
    else this.log.debug(event.message);
  }

  private settled(batch: Batch, outcome: Outcome): void {
    this.progressAt = performance.now();
    if (outcome.kind === "acked") this.goesOn();
    this.settledTotal += batch.count;
    while (this.appended.length > 0 && (this.appended[0] as { total: number }).total <= this.settledTotal) {
      this.appended.shift();
    }
    if (outcome.kind === "acked") this.options.onAcked(batch, outcome);
    else {
      this.dropped += batch.count;
      this.droppedFor.add(outcome.name);
    }
  }

  /** Throws LogagentError: no such topic, not authorized, or BROKER_UNAVAILABLE after the time-out. */
  async prepare(topic: string): Promise<void> {
    if (this.prepared.has(topic)) return;
    const limit = this.options.timeout;
    this.progressAt = performance.now();
    await this.within(this.sink.prepare(topic), limit, `no broker answered within ${limit} ms`);
    this.goesOn();
    this.prepared.add(topic);
  }

  /** Records that the brokers have acknowledged. */
  get acknowledged(): number {
    return this.settledTotal - this.dropped;
  }

  /** Records that were read and are neither acknowledged nor refused. */
  get open(): number {
    return this.total - this.settledTotal;
  }

  /**
   * Sends a parcel up to the first record that cannot be sent. Throws LogagentError BAD_INPUT naming its line, when the record
   * itself chose the topic or the partition.
   */
  async sendParcel([lines, route, origin]: Parcel, signal: AbortSignal): Promise<void> {
    if (origin === undefined) return this.send(lines, route, signal);
    try {
      await this.prepare(route.topic);
    } catch (error) {
      const refused = error instanceof LogagentError && ["BROKER_REFUSED", "AUTHORIZATION"].includes(error.code);
      throw refused ? badLine(origin.line(0), error) : error;
    }
    const count = this.sink.partitions(route.topic);
    for (let i = 0; i < lines.count; i++) {
      const partition = origin.partition(i);
      if (partition === null || (partition >= 0 && partition < count)) continue;
      if (i > 0) await this.send(sliceLines(lines, 0, i), route, signal);
      const text = `producing to partition ${partition} of topic "${route.topic}": it has only partitions 0 to ${count - 1}`;
      throw badLine(origin.line(i), new Error(text));
    }
    await this.send(lines, route, signal);
  }

  /** Resolves when the lines are encoded; they may be overwritten then. */
  async send(lines: Lines, route: Route, signal: AbortSignal): Promise<void> {
    await this.prepare(route.topic);
    const { rate } = this.options;
    if (rate === 0) return this.append(lines, route);
    const portion = Math.max(1, Math.floor(rate / PORTIONS));
    for (let from = 0; from < lines.count && !signal.aborted; from += portion) {
      const part = sliceLines(lines, from, Math.min(from + portion, lines.count));
      const wait = this.nextPortionAt - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      this.nextPortionAt = Math.max(performance.now(), this.nextPortionAt) + (part.count * 1000) / rate;
      // Routes look records up by their number in the whole chunk.
      await this.append(part, from === 0 ? route : shifted(route, from));
    }
  }

  private async append(lines: Lines, route: Route): Promise<void> {
    while (!this.sink.hasRoom(route.topic)) await this.room();
    if (this.total === this.settledTotal) this.progressAt = performance.now();
    this.total += lines.count;
    this.appended.push({ at: performance.now(), total: this.total });
    this.sink.append(lines, route);
  }

  /**
   * Resolves when every record is settled, or `hurry` is aborted. Throws LogagentError BROKER_UNAVAILABLE when nothing goes on.
   */
  async finish(hurry: AbortSignal): Promise<void> {
    const hurried = new Promise<boolean>((resolve) => {
      hurry.addEventListener("abort", () => resolve(true), { once: true });
    });
    while (!hurry.aborted) {
      if (await Promise.race([this.sink.flush(1000), hurried])) return;
      this.checkProgress();
    }
  }

  /** Resolves when there may be room, at the latest after a second. Throws when nothing goes on. */
  private async room(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      timer = setTimeout(resolve, 1000);
    });
    // A timer that is left behind would keep the finished process alive.
    clearTimeout(timer);
    this.checkProgress();
  }

  private checkProgress(): void {
    this.complain();
    const now = performance.now();
    const { timeout, deliveryTimeout } = this.options;
    const open = this.total - this.settledTotal;
    if (now - this.progressAt > timeout) throw this.failure(`${open} records are not acknowledged after ${timeout} ms`);
    const oldest = this.appended[0];
    if (deliveryTimeout !== null && oldest && now - oldest.at > deliveryTimeout) {
      throw this.failure(`${open} records are not acknowledged within --delivery-timeout ${deliveryTimeout} ms`);
    }
  }

  private async within<T>(promise: Promise<T>, limit: number, otherwise: string): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const looking = setInterval(() => this.complain(), PATIENCE);
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.failure(otherwise)), limit);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
      clearInterval(looking);
    }
  }

  /** After a second without an answer, once, with what is known by then. */
  private complain(): void {
    if (this.complained || performance.now() - this.progressAt < PATIENCE) return;
    this.complained = true;
    const why = this.why() ?? "no broker has answered for a second";
    this.log.warn(`${why}; trying again for ${this.options.timeout} ms (--timeout)`);
  }

  private goesOn(): void {
    if (this.complained) this.log.info("the brokers answer");
    this.complained = false;
  }

  private why(): string | null {
    return this.trouble?.message.replace(/; (trying on|retrying)$/, "") ?? null;
  }

  private failure(what: string): LogagentError {
    const reason = this.why();
    const why = reason === null ? "" : ` (${reason})`;
    return new LogagentError("BROKER_UNAVAILABLE", `producing: ${what}${why}`, this.trouble?.cause);
  }
}

function shifted(route: Route, by: number): Route {
  const shift = <A>(f: A): A => (typeof f === "function" ? (lines: Lines, i: number) => f(lines, i + by) : f) as A;
  return {
    ...route,
    key: shift(route.key),
    headers: shift(route.headers),
    ...(route.timestamp ? { timestamp: shift(route.timestamp) } : {}),
    ...(route.partition ? { partition: shift(route.partition) } : {}),
    // Plain lines decide by the portion's own bytes, JSON by the record's number.
    ...(route.tombstone ? { tombstone: route.timestamp ? shift(route.tombstone) : route.tombstone } : {}),
  };
}
