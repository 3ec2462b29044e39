/** Said once, then seldom: for troubles that come back with every retry. */
import type { Clock } from "../runtime.ts";

/**
 * True the first time a key is seen, then after `first` ms, then at intervals doubling up to `most` ms. `clear` starts
 * anew when the trouble is over.
 */
export class Seldom {
  private readonly due = new Map<string, { at: number; wait: number; held: number }>();
  private readonly clock: Pick<Clock, "monotonic">;
  private readonly first: number;
  private readonly most: number;

  constructor(clock: Pick<Clock, "monotonic">, first = 60_000, most = 3_600_000) {
    this.clock = clock;
    this.first = first;
    this.most = most;
  }

  /** The number of times it was held back since it was last said, or null when it is to be held back now too. */
  say(key: string): number | null {
    const now = this.clock.monotonic();
    const known = this.due.get(key);
    if (known && now < known.at) {
      known.held++;
      return null;
    }
    const wait = known ? Math.min(known.wait * 2, this.most) : this.first;
    this.due.set(key, { at: now + wait, wait, held: 0 });
    return known?.held ?? 0;
  }

  clear(key: string): void {
    this.due.delete(key);
  }
}
