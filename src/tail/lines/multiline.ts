/** Joins lines into records: a record begins at a line that matches `start`, or at one that does not match `continuation`. */

import type { Encoding } from "../files/file.ts";
import type { TailOptions } from "../types.ts";
import { isWide } from "./encoding.ts";
import type { LineTable } from "./scan.ts";

/**
 * Rewrites the table's lines as groups; `table.lines[i]` becomes the number of physical lines before record i, with one
 * entry more for the end. The last group is left out while it is `open`: its next line may still come. Groups end early
 * at `maxBytes`.
 */
export function groupLines(
  bytes: Buffer,
  table: LineTable,
  multiline: NonNullable<TailOptions["multiline"]>,
  open: boolean,
  encoding: Encoding | null,
): { records: number } {
  const { start, continuation, maxBytes } = multiline;
  const text = encoding === "latin1" ? "latin1" : isWide(encoding) ? "utf16le" : "utf8";
  const physical = table.count;
  let records = 0;
  let groupLine = 0;
  const { starts, ends, nexts, lines } = table;
  let groupStart = physical > 0 ? starts[0]! : 0;
  const close = (line: number) => {
    starts[records] = groupStart;
    ends[records] = ends[line]!;
    nexts[records] = nexts[line]!;
    lines[records++] = groupLine;
    groupLine = line + 1;
  };
  for (let i = 1; i < physical; i++) {
    const from = starts[i]!;
    let value = bytes.subarray(from, ends[i]!);
    if (encoding === "utf-16be") value = Buffer.from(value.subarray(0, value.length & ~1)).swap16();
    const line = value.toString(text);
    const begins = start ? line.search(start) >= 0 : continuation ? line.search(continuation) < 0 : true;
    if (begins || ends[i]! - groupStart > maxBytes) {
      close(i - 1);
      groupStart = from;
    }
  }
  if (physical > 0 && !open) close(physical - 1);
  if (records > 0 || !open) lines[records] = groupLine;
  if (records > 0 || !open) table.count = records;
  return { records };
}
