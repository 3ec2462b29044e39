/** Holes: runs of NULs in a file. */

import { markerBytes } from "../identity/identity.ts";
import type { Reading } from "./chunk.ts";
import { isWide } from "./encoding.ts";
import { type ReadResult, turnBytes } from "./reader.ts";
import { nulRun } from "./scan.ts";

/** Only NULs so far: a hole that a writer without O_APPEND left behind a truncation. Passed once something follows it. `known`: bytes of it that were read. */
export function passHole({ file, source, report, buffer }: Reading, known: number): ReadResult {
  const block = Buffer.allocUnsafe(1 << 20);
  const first = Math.max(file.read + known, file.holeScanned);
  let at = first;
  for (;;) {
    if (at - first >= turnBytes) {
      file.holeScanned = at;
      return "again";
    }
    const n = source.read(block, 0, Math.min(block.length, file.limit - at), at);
    if (n < 0) {
      file.holeScanned = at;
      return "later";
    }
    if (n === 0) {
      file.holeScanned = at;
      return "end";
    }
    const run = nulRun(block, 0, n);
    at += run;
    if (run < n) break;
  }
  if (isWide(file.encoding) && (at - file.read) % 2 !== 0) at--;
  report({
    level: "info",
    name: "hole-skipped",
    message: `skipped ${at - file.read} NUL bytes`,
    path: file.path,
    file: file.id,
    bytes: at - file.read,
  });
  const base = file.read;
  file.tail.fill(0);
  file.tailLength = markerBytes;
  file.read = at;
  file.scanned = at;
  const none = new Uint32Array(0);
  file.pending.push({
    base,
    to: at,
    line: file.line,
    nextLine: file.line,
    nexts: none,
    linesBehind: null,
    before: file.tailBytes(),
    marks: [],
  });
  return {
    file: file.id,
    base,
    to: at,
    bytes: buffer,
    starts: none,
    ends: none,
    nexts: none,
    count: 0,
    lineNumber: file.line,
  };
}
