/** The bytes before some earlier positions of one file: a shorter copy of it is known by them. */
import type { RawMarker } from "./pending.ts";

const most = 12;

export class Marks {
  #list: RawMarker[] = [];
  /** The same in one piece, for a file that is only remembered: a log that is rotated every second leaves many behind. */
  #packed: { ends: number[]; lengths: number[]; bytes: Buffer } | null = null;

  get count(): number {
    return this.#packed?.ends.length ?? this.#list.length;
  }

  /** Ascending. */
  get list(): readonly RawMarker[] {
    return this.#packed === null ? this.#list : unpack(this.#packed);
  }

  /** Of many those close to `read`, the file's position, are kept. */
  keep(mark: RawMarker, read: number): void {
    if (this.#packed !== null) this.#list = unpack(this.#packed);
    this.#packed = null;
    const list = this.#list;
    list.push(mark);
    if (list.length <= most) return;
    let least = 0;
    let leastGain = Number.POSITIVE_INFINITY;
    for (let i = 0; i < list.length - 1; i++) {
      const gain = (list[i + 1]!.to - (list[i - 1]?.to ?? 0)) / (read - list[i]!.to + 1);
      if (gain < leastGain) [least, leastGain] = [i, gain];
    }
    list.splice(least, 1);
  }

  pack(): void {
    if (this.#list.length === 0) return;
    const list = this.#list;
    this.#packed = {
      ends: list.map(({ to }) => to),
      lengths: list.map(({ bytes }) => bytes.length),
      bytes: Buffer.concat(list.map(({ bytes }) => bytes)),
    };
    this.#list = [];
  }
}

function unpack({ ends, lengths, bytes }: { ends: number[]; lengths: number[]; bytes: Buffer }): RawMarker[] {
  let at = 0;
  return ends.map((to, i) => {
    at += lengths[i]!;
    return { to, bytes: bytes.subarray(at - lengths[i]!, at) };
  });
}
