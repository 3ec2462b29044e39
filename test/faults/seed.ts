/** The chance of a campaign: LOGAGENT_SEED repeats one, else a new seed; printed either way. */
export interface Chance {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number in [from, to]. */
  between(from: number, to: number): number;
  pick<T>(items: readonly T[]): T;
}

/** mulberry32. */
export function chance(name: string): Chance {
  const seed = Number(process.env.LOGAGENT_SEED ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`${name}: LOGAGENT_SEED=${seed}`);
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return { seed, next, between, pick: (items) => items[between(0, items.length - 1)]! };
}

/** The campaigns' full form (`npm run test:campaigns`), else the short one of `npm test`. */
export const full = process.env.LOGAGENT_CAMPAIGN === "full";
