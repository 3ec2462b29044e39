export interface Verdict {
  written: number;
  received: number;
  /** Written and not received. */
  lost: number;
  /** Received more often than written. */
  duplicated: number;
  /** Received and never written. */
  foreign: number;
  /** First occurrences that come before a line written earlier. */
  reordered: number;
}

/** Compares what was written with what was received, line by line; equal lines are told apart only by their number. */
export function compare(written: readonly string[], received: readonly string[]): Verdict {
  const places = new Map<string, number[]>();
  written.forEach((line, at) => {
    const list = places.get(line);
    if (list) list.push(at);
    else places.set(line, [at]);
  });
  const taken = new Map<string, number>();
  const verdict: Verdict = {
    written: written.length,
    received: received.length,
    lost: 0,
    duplicated: 0,
    foreign: 0,
    reordered: 0,
  };
  let highest = -1;
  for (const line of received) {
    const list = places.get(line);
    const count = taken.get(line) ?? 0;
    if (!list) verdict.foreign++;
    else if (count >= list.length) verdict.duplicated++;
    else {
      const at = list[count]!;
      if (at < highest) verdict.reordered++;
      highest = Math.max(highest, at);
    }
    taken.set(line, count + 1);
  }
  for (const [line, list] of places) verdict.lost += Math.max(0, list.length - (taken.get(line) ?? 0));
  return verdict;
}
