/** Answers of a real broker, broken one field at a time: what a lying or failing broker may send. */

/** Bytes that lengths, counts, codes, numbers and varints are overwritten with. */
const extremes: readonly Buffer[] = [
  [0x7f, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xfe],
  [0x80, 0, 0, 0],
  [0, 0, 0, 0],
  [0, 1, 0x86, 0x9f],
  [0x7f, 0xff],
  [0xff, 0xfe],
  [0, 0],
  [0xff],
  [0],
  [1],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0, 0, 0, 0, 0],
].map((bytes) => Buffer.from(bytes));

/** A generator of numbers in [0, 1) that a seed decides (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One broken copy, of the same length: an extreme value in the place of some bytes at or behind `from`. */
export function overwritten(answer: Buffer, random: () => number, from = 0): Buffer {
  const broken = Buffer.from(answer);
  const extreme = extremes[Math.floor(random() * extremes.length)] as Buffer;
  const places = Math.max(1, answer.length - from - extreme.length + 1);
  extreme.copy(broken, from + Math.floor(random() * places));
  return broken;
}

/** Every extreme at up to `places` places, every length up to as many, and `more` answers with several faults, by chance. */
export function* broken(answer: Buffer, random: () => number, places: number, more: number): Generator<Buffer> {
  const step = Math.max(1, Math.ceil(answer.length / places));
  for (let at = 0; at < answer.length; at += step) {
    yield Buffer.from(answer.subarray(0, at));
    for (const extreme of extremes) {
      const copy = Buffer.from(answer);
      extreme.copy(copy, at);
      yield copy;
    }
  }
  for (let i = 0; i < more; i++) {
    let copy = overwritten(answer, random);
    while (random() < 0.5) copy = overwritten(copy, random);
    yield random() < 0.3 ? Buffer.concat([copy, answer]) : copy;
  }
}
