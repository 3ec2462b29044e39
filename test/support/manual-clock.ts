import type { Clock } from "../../src/runtime.ts";

/** Time passes when the test says so, in milliseconds; timers that are due fire then. */
export class ManualClock implements Clock {
  #ms = 1_000_000;
  readonly #timers = new Set<{ at: number; f: () => void }>();

  now(): number {
    return 1_700_000_000_000 + this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  after(ms: number, f: () => void): () => void {
    const timer = { at: this.#ms + ms, f };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#ms += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#ms || !this.#timers.delete(timer)) continue;
      timer.f();
    }
  }
}
