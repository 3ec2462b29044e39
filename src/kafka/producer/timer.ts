import type { Clock } from "../../runtime.ts";

/** One timer for many wishes: it rings at the earliest time asked for. */
export class Alarm {
  private readonly clock: Clock;
  private readonly ring: () => void;
  private set: { at: number; cancel: () => void } | null = null;

  constructor(clock: Clock, ring: () => void) {
    this.clock = clock;
    this.ring = ring;
  }

  /** Rings at monotonic time `at`, milliseconds; an earlier time that is set already stays. */
  at(at: number, now: number): void {
    if (this.set && this.set.at <= at && this.set.at > now) return;
    this.cancel();
    const cancel = this.clock.after(Math.max(0, Math.ceil(at - now)), () => {
      this.set = null;
      this.ring();
    });
    this.set = { at, cancel };
  }

  cancel(): void {
    this.set?.cancel();
    this.set = null;
  }
}
