import type { Random } from "../runtime.ts";

/** Milliseconds before try number `failures` + 1: doubled each time from `first` to `most`, of which half is chance. */
export function backoff(failures: number, random: Random, first = 50, most = 1000): number {
  const full = Math.min(most, first * 2 ** Math.min(Math.max(failures - 1, 0), 20));
  return full / 2 + (random() * full) / 2;
}
