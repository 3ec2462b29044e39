/** A token bucket that slows and never drops: what is not taken stays in the files. */
export class RateLimit {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #at: number;

  /** `rate`: lines per second, 0 is unlimited; bursts of up to 100 ms of it. `now`: monotonic milliseconds. */
  constructor(rate: number, now: number) {
    this.#perMs = rate / 1000;
    this.#burst = Math.max(1, rate / 10);
    this.#tokens = this.#burst;
    this.#at = now;
  }

  /** Lines that may go now. */
  available(now: number): number {
    if (this.#perMs === 0) return Number.MAX_SAFE_INTEGER;
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
    return Math.floor(this.#tokens);
  }

  take(lines: number): void {
    if (this.#perMs > 0) this.#tokens -= lines;
  }

  /** Milliseconds until a line may go. */
  wait(now: number): number {
    return this.available(now) >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#perMs);
  }
}
