import type { Clock } from "../../runtime.ts";

/** Record.NO_TIMESTAMP: brokers take it whatever message.timestamp.before.max.ms and message.timestamp.after.max.ms say. */
export const NO_TIMESTAMP = -1;

/** Milliseconds for which no time is given after the brokers refused one; then the clock may have been set right. */
const distrust = 60_000;

/**
 * The time of records that bring none: this host's clock, as long as the brokers accept it. A clock that is off says nothing
 * about the lines, so they go out without a time instead.
 */
export class AppendTime {
  private readonly clock: Clock;
  private distrustedUntil = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Milliseconds since the epoch, or NO_TIMESTAMP. */
  now(): number {
    return this.clock.monotonic() < this.distrustedUntil ? NO_TIMESTAMP : this.clock.now();
  }

  /** The brokers refused a batch for its time; true when that is news. */
  refused(): boolean {
    const news = this.clock.monotonic() >= this.distrustedUntil;
    this.distrustedUntil = this.clock.monotonic() + distrust;
    return news;
  }
}
