/** Lines longer than allowed: split, cut or skipped. */
import { markerBytes } from "../identity/identity.ts";
import { makeChunk, type Reading } from "./chunk.ts";
import { characterEnd, isWide } from "./encoding.ts";
import { chunkBytes, type ReadResult, turnBytes } from "./reader.ts";
import { type LineTable, scanLines16 } from "./scan.ts";

/** Cuts the table before the first line that is too long; true if there is one. */
export function cutBeforeLong(table: LineTable, data: number, maxLineBytes: number): boolean {
  const length = (table.count > 0 ? table.nexts[table.count - 1]! : data) - data;
  if (length <= maxLineBytes) return false;
  for (let i = 0; i < table.count; i++) {
    if (table.ends[i]! - table.starts[i]! > maxLineBytes) {
      table.count = i;
      return true;
    }
  }
  return false;
}

/** The line at `data` is longer than allowed: split hands out a piece, cut and skip first look for its end. */
export function takeLongLine(reading: Reading): ReadResult {
  const { file, source, data, n, buffer, table, report } = reading;
  const { maxLineBytes, tooLong } = reading.options;
  const wide = isWide(file.encoding);
  if (tooLong === "split") {
    const cut = characterEnd(buffer, data, data + maxLineBytes, file.encoding);
    table.count = 1;
    table.starts[0] = data;
    table.ends[0] = cut;
    table.nexts[0] = cut;
    table.lines[0] = 0;
    table.lines[1] = 0;
    report({
      level: "warn",
      name: "line-too-long",
      message: `split a line longer than ${maxLineBytes} bytes`,
      path: file.path,
      file: file.id,
      bytes: cut - data,
      lines: 1,
    });
    return makeChunk(reading, cut, true);
  }
  let end = -1;
  const inBuffer = wide ? find16(reading) : buffer.subarray(0, n).indexOf(10, data);
  if (inBuffer >= 0) end = inBuffer - data;
  let at = Math.max(file.scanned - file.read, n - data);
  if (wide) at -= at % 2;
  const probe = end < 0 ? Buffer.allocUnsafe(chunkBytes) : null;
  const first = at;
  while (end < 0) {
    if (at - first >= turnBytes) {
      file.scanned = file.read + at;
      return "again";
    }
    const want = Math.min(chunkBytes, file.limit - file.read - at);
    const got = want > 0 ? source.read(probe!, 0, want, file.read + at) : 0;
    if (got < 0) return "later";
    if (got === 0) {
      file.scanned = file.read + at;
      if (!file.final) return "end";
      end = at;
      break;
    }
    let found = probe!.subarray(0, got).indexOf(wide ? (file.encoding === "utf-16le" ? "\n\0" : "\0\n") : "\n");
    while (wide && found >= 0 && found % 2 !== 0)
      found = probe!.subarray(0, got).indexOf(file.encoding === "utf-16le" ? "\n\0" : "\0\n", found + 1);
    if (found >= 0) end = at + found;
    at += wide && got > 1 ? got - (got % 2) : got;
  }
  const to = end + (file.final && end === at ? 0 : wide ? 2 : 1);
  const kept = tooLong === "cut" ? characterEnd(buffer, data, data + maxLineBytes, file.encoding) - data : 0;
  report({
    level: "warn",
    name: "line-too-long",
    message: `${tooLong === "cut" ? "cut" : "skipped"} a line longer than ${maxLineBytes} bytes`,
    path: file.path,
    file: file.id,
    bytes: end - kept,
    lines: 1,
  });
  const before = Buffer.alloc(Math.min(markerBytes, file.read + to));
  if (source.read(before, 0, before.length, file.read + to - before.length) !== before.length) return "changed";
  table.count = kept > 0 ? 1 : 0;
  table.starts[0] = data;
  table.ends[0] = data + kept;
  table.nexts[0] = Math.min(data + to, 0xffff_ffff);
  // One line, whether a record is made of it or not.
  table.lines[0] = 0;
  table.lines[table.count] = 1;
  return makeChunk(reading, data + to, true, before);
}

function find16({ file, buffer, table, data, n }: Reading): number {
  table.count = 0;
  scanLines16(buffer, data, n, 1, table, file.encoding as "utf-16le");
  return table.count > 0 ? table.ends[0]! : -1;
}
