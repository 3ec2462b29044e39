import type { Clock } from "../../runtime.ts";

/** Milliseconds: what is over sooner is how brokers move leaders, and no news. */
const tellAfter = 5_000;
/** Milliseconds after which the same trouble is another one, or is told again while it lasts. */
const forgetAfter = 10_000;
const tellAgainAfter = 300_000;

interface Trouble {
  since: number;
  last: number;
  toldAt: number;
}

/** Refusals that waiting mends, by topic and code: worth a word when they last, once for all partitions. */
export class LastingTrouble {
  private readonly clock: Clock;
  private readonly troubles = new Map<string, Trouble>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** One more of them; since how many seconds it lasts where that is to be told now, else null. */
  met(topic: string, code: number): number | null {
    const now = this.clock.monotonic();
    const key = `${topic} ${code}`;
    let trouble = this.troubles.get(key);
    if (!trouble || now - trouble.last > forgetAfter) {
      for (const [other, { last }] of this.troubles) if (now - last > forgetAfter) this.troubles.delete(other);
      trouble = { since: now, last: now, toldAt: Number.NEGATIVE_INFINITY };
      this.troubles.set(key, trouble);
    }
    trouble.last = now;
    if (now - trouble.since < tellAfter || now - trouble.toldAt < tellAgainAfter) return null;
    trouble.toldAt = now;
    return Math.round((now - trouble.since) / 1000);
  }
}
