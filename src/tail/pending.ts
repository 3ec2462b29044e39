/** Chunks of one file that were handed out and are not settled: enough to tell line number and marker at any position. */

/** What is true at one position of a file. */
export interface Mark {
  position: number;
  /** Number of the line that starts there, from 1. */
  line: number;
  /** Up to 64 raw bytes before `markAt`, as they were read. */
  before: Uint8Array;
  /** A chunk boundary at or before `position`. */
  markAt: number;
}

interface Chunk {
  base: number;
  to: number;
  line: number;
  /** Line number at `to`. */
  nextLine: number;
  nexts: Uint32Array;
  /** Line number behind record i relative to `line`; null: i + 1. */
  linesBehind: Uint32Array | null;
  before: Uint8Array;
}

export class Pending {
  settled: Mark;
  readonly #chunks: Chunk[] = [];

  constructor(start: Mark) {
    this.settled = start;
  }

  get empty(): boolean {
    return this.#chunks.length === 0;
  }

  /** A chunk was handed out; `before`: the raw bytes before its end. All arrays are kept, not copied. */
  push(chunk: Chunk): void {
    this.#chunks.push(chunk);
  }

  /** Moves on to `position`; false if it is not beyond what was settled. */
  settle(position: number): boolean {
    if (position <= this.settled.position) return false;
    let done = 0;
    for (const chunk of this.#chunks) {
      if (chunk.to > position) {
        this.settled = { ...this.settled, position, line: lineAt(chunk, position) };
        break;
      }
      done++;
      this.settled = { position: chunk.to, line: chunk.nextLine, before: chunk.before, markAt: chunk.to };
    }
    if (done > 0) this.#chunks.splice(0, done);
    return true;
  }
}

/** Binary search for the records that end at or before `position`. */
function lineAt(chunk: Chunk, position: number): number {
  const offset = position - chunk.base;
  let low = 0;
  let high = chunk.nexts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk.nexts[middle]! <= offset) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return chunk.line;
  return chunk.line + (chunk.linesBehind ? chunk.linesBehind[low - 1]! : low);
}
