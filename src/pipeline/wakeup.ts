import type { Clock } from "../runtime.ts";

/** A bell one loop sleeps on. Ringing while nobody sleeps makes the next sleep end as soon as it may. */
export class Wake {
  private readonly clock: Clock;
  private rung = false;
  private end: (() => void) | null = null;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readonly ring = (): void => {
    this.rung = true;
    this.end?.();
  };

  /** Resolves after `ms` (Infinity: never by itself) or when the bell rings, but not before `atLeast` ms. */
  sleep(ms: number, atLeast = 0): Promise<void> {
    if (this.rung && atLeast <= 0) {
      this.rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const earliest = atLeast > 0 ? this.clock.monotonic() + atLeast : 0;
      const wake = () => {
        this.end = null;
        this.rung = false;
        resolve();
      };
      // Rounded up: timers know whole milliseconds, and waking too early means waking twice.
      // setTimeout fires at once for more than 2^31 ms.
      const arm = (delay: number) => (delay < 2 ** 31 ? this.clock.after(Math.ceil(delay), wake) : () => {});
      let cancel = arm(this.rung ? atLeast : Math.max(ms, atLeast));
      this.end = () => {
        const left = earliest === 0 ? 0 : earliest - this.clock.monotonic();
        // The further rings of a busy time find the bell rung already.
        this.end = null;
        cancel();
        if (left <= 0) wake();
        else cancel = arm(left);
      };
      if (this.rung) this.end = null;
    });
  }
}
