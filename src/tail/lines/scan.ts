/** Finds line ends in a buffer: three reused arrays, no object per line. */
import { newline16 } from "./encoding.ts";

/** Records a chunk holds at most. */
export const maxRecords = 16_384;

export class LineTable {
  readonly starts = new Uint32Array(maxRecords);
  readonly ends = new Uint32Array(maxRecords);
  /** Offset behind the newline (in the buffer, not yet relative to a base). */
  readonly nexts = new Uint32Array(maxRecords);
  /** Physical lines a record stands for; only used where lines are joined. */
  readonly lines = new Uint32Array(maxRecords + 1);
  count = 0;
}

/**
 * Lists the complete lines of `bytes[from, to)`, at most `limit`. Returns the offset behind the last one. `searchFrom`:
 * no newline lies before it.
 */
export function scanLines(
  bytes: Buffer,
  from: number,
  to: number,
  searchFrom: number,
  limit: number,
  table: LineTable,
): number {
  const view = bytes.subarray(0, to);
  const { starts, ends, nexts } = table;
  let start = from;
  let search = searchFrom;
  let i = 0;
  while (i < limit) {
    const end = view.indexOf(10, search);
    if (end < 0) break;
    starts[i] = start;
    ends[i] = end;
    start = end + 1;
    nexts[i++] = start;
    search = start;
  }
  table.count = i;
  return start;
}

/** The same for UTF-16, whose code units lie at even distances from `from`. */
export function scanLines16(
  bytes: Buffer,
  from: number,
  to: number,
  limit: number,
  table: LineTable,
  encoding: "utf-16le" | "utf-16be",
): number {
  const view = bytes.subarray(0, to);
  const pattern = newline16[encoding];
  let start = from;
  let search = from;
  let i = 0;
  while (i < limit) {
    const end = view.indexOf(pattern, search);
    if (end < 0) break;
    if ((end - from) % 2 !== 0) {
      search = end + 1;
      continue;
    }
    table.starts[i] = start;
    table.ends[i] = end;
    start = end + 2;
    table.nexts[i++] = start;
    search = start;
  }
  table.count = i;
  return start;
}

/** Drops a `\r` at the end of each value. */
export function trimCr(bytes: Uint8Array, table: LineTable): void {
  const { starts, ends } = table;
  for (let i = 0; i < table.count; i++) {
    const end = ends[i]!;
    if (end > starts[i]! && bytes[end - 1] === 13) ends[i] = end - 1;
  }
}

/** Length of the run of NULs at `from`; blocks are compared with zeros, so that gigabytes of a hole cost little. */
export function nulRun(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (to - at >= zeros.length && bytes.compare(zeros, 0, zeros.length, at, at + zeros.length) === 0)
    at += zeros.length;
  while (to - at >= 64 && bytes.compare(zeros, 0, 64, at, at + 64) === 0) at += 64;
  while (at < to && bytes[at] === 0) at++;
  return at - from;
}

const zeros = Buffer.alloc(65_536);

/** NULs at the end of [from, to). */
export function trailingNuls(bytes: Uint8Array, from: number, to: number): number {
  let at = to;
  while (at > from && bytes[at - 1] === 0) at--;
  return to - at;
}
