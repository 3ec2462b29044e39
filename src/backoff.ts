import type { Random } from "./runtime.ts";

/**
 * Milliseconds to wait after `failures` failures in a row (1 is the first): doubled each time from `first` to `last`, of
 * which half is chance, so that many that failed at once do not come back at once.
 */
export function backoff(failures: number, random: Random, first = 50, last = 1000): number {
  const full = Math.min(last, first * 2 ** Math.min(Math.max(failures - 1, 0), 20));
  return full / 2 + (random() * full) / 2;
}
