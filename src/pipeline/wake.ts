import type { Clock } from "../runtime.ts";

/** A bell one loop sleeps on. Ringing while nobody sleeps makes the next sleep end at once. */
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

  /** Resolves after `ms` (Infinity: never by itself) or when the bell rings. */
  sleep(ms: number): Promise<void> {
    if (this.rung) {
      this.rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      // setTimeout fires at once for more than 2^31 ms.
      // Rounded up: timers know whole milliseconds, and waking too early means waking twice.
      const cancel = ms < 2 ** 31 ? this.clock.after(Math.ceil(ms), () => this.end?.()) : () => {};
      this.end = () => {
        this.end = null;
        this.rung = false;
        cancel();
        resolve();
      };
    });
  }
}
