/** Chunks of one file that were handed out and are not settled: enough to tell line number and marker at any position. */
import type { ContentHash } from "../../state/types.ts";

/** Raw bytes before position `to`, as they were read; hashed only when a checkpoint asks. */
export interface RawMarker {
  bytes: Uint8Array;
  to: number;
}

/** What is true at a settled position. The marker may lie before the position: it is that of a chunk's end. */
export interface Mark {
  position: number;
  /** Number of the line that starts there, from 1. */
  line: number;
  marker: RawMarker | ContentHash | null;
}

export interface PendingChunk {
  base: number;
  to: number;
  line: number;
  /** Line number at `to`. */
  nextLine: number;
  nexts: Uint32Array;
  /** Line number behind record i relative to `line`; null: i + 1. */
  linesBehind: Uint32Array | null;
  before: Uint8Array;
  /** Markers inside of the chunk, ascending: it may be settled in parts. */
  marks: readonly RawMarker[];
}

export class Pending {
  settled: Mark;
  readonly #chunks: PendingChunk[] = [];

  constructor(start: Mark) {
    this.settled = start;
  }

  /** A chunk was handed out; `before`: the raw bytes before its end. The arrays are kept, not copied. */
  push(chunk: PendingChunk): void {
    this.#chunks.push(chunk);
  }

  /** Moves on to `position`; false if it is not beyond what was settled. */
  settle(position: number): boolean {
    if (position <= this.settled.position) return false;
    let done = 0;
    for (const chunk of this.#chunks) {
      if (chunk.to > position) {
        const marker = chunk.marks.findLast(({ to }) => to <= position) ?? this.settled.marker;
        if (chunk.base < position) this.settled = { position, line: lineAt(chunk, position), marker };
        break;
      }
      done++;
      this.settled = { position: chunk.to, line: chunk.nextLine, marker: { bytes: chunk.before, to: chunk.to } };
    }
    if (done > 0) this.#chunks.splice(0, done);
    return true;
  }
}

/** Binary search for the records that end at or before `position`. */
function lineAt(chunk: PendingChunk, position: number): number {
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
