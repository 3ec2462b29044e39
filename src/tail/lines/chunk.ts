/** A table of lines → the chunk that is handed out, and what the file remembers of it. */
import type { Lines } from "../../lines.ts";
import type { FollowedFile } from "../files/file.ts";
import type { RawMarker } from "../files/pending.ts";
import { markerBytes } from "../identity/identity.ts";
import type { Source } from "../source/source.ts";
import type { TailEvent, TailOptions } from "../types.ts";
import { bomLength, decodes, decodeTable } from "./encoding.ts";
import { filterTable } from "./filter.ts";
import { type LineTable, nulRun, trimCr } from "./scan.ts";

/** Bytes. */
const smallChunk = 64 * 1024;

export type ReadOptions = Pick<
  TailOptions,
  "maxLineBytes" | "tooLong" | "trimCr" | "encoding" | "multiline" | "include" | "excludeLines"
>;

/** What one read has in hand. */
export interface Reading {
  file: FollowedFile;
  source: Source;
  options: ReadOptions;
  report: (event: TailEvent) => void;
  /** [0, data): what lies before the file's position; [data, n): what follows it. */
  buffer: Buffer;
  data: number;
  n: number;
  /** Lines found in the buffer. */
  table: LineTable;
}

/**
 * Turns the table into a chunk and moves the file on: the one place where lines become records. `behind`: where the chunk
 * ends in the buffer; `grouped`: a record may be several lines. `before`: the bytes before the chunk's end, where that lies
 * beyond the buffer.
 */
export function makeChunk(reading: Reading, behind: number, grouped: boolean, before?: Buffer): Lines {
  const { file, table, data } = reading;
  const physical = table.count;
  const nextLine = file.line + (grouped ? table.lines[physical]! : physical);
  const { bytes, filtered } = refine(reading);
  const base = file.read;
  for (let i = 0; i < table.count; i++) table.nexts[i] = table.nexts[i]! - data;
  const length = behind - data;
  const count = table.count;
  const offsets = grouped || filtered ? table.lines.subarray(0, count) : undefined;
  const first = offsets && count > 0 ? offsets[0]! : 0;
  if (offsets) for (let i = 0; i < count; i++) offsets[i] = offsets[i]! - first;
  const lines: Lines = {
    file: file.id,
    base,
    to: base + length,
    bytes,
    starts: table.starts.subarray(0, count),
    ends: table.ends.subarray(0, count),
    nexts: table.nexts.subarray(0, count),
    count,
    lineNumber: file.line + first,
  };
  if (offsets) lines.lineOffsets = offsets;
  if (before) file.setTail(before);
  else file.setTail(reading.buffer, behind);
  advance(reading, behind, nextLine, lines, before === undefined);
  return lines;
}

/** What options make of the lines found: holes and byte order marks are left out, values decoded, trimmed and filtered. */
function refine({ file, table, buffer, data, options }: Reading): { bytes: Buffer; filtered: boolean } {
  const { include, excludeLines } = options;
  for (let i = 0; i < table.count; i++) {
    const start = table.starts[i]!;
    if (buffer[start] !== 0 || start === table.ends[i]) continue;
    const run = nulRun(buffer, start, table.ends[i]!);
    if (run >= 16 || (file.read === 0 && i === 0 && file.encoding !== "utf-16be")) table.starts[i] = start + run;
  }
  const bom = file.read === 0 && table.count > 0 ? bomLength(buffer, data, file.encoding) : 0;
  if (bom > 0) table.starts[0] = Math.min(Math.max(table.starts[0]!, data + bom), table.ends[0]!);
  const bytes = decodes(file.encoding, buffer, table) ? decodeTable(buffer, table, file.encoding) : buffer;
  if (options.trimCr) trimCr(bytes, table);
  return { bytes, filtered: (include || excludeLines) !== null && filterTable(bytes, table, include, excludeLines) };
}

/** Records what is pending. `near`: the chunk's end lies in the buffer. */
function advance({ file, buffer }: Reading, behind: number, nextLine: number, lines: Lines, near: boolean): void {
  const line = file.line;
  file.read = lines.to;
  file.scanned = lines.to;
  file.line = nextLine;
  const marks = near && !endIsEnough(file, lines) ? marksIn(buffer, lines, behind) : noMarks;
  const before = file.tailBytes();
  let linesBehind: Uint32Array | null = null;
  if (lines.lineOffsets) {
    // The line behind record i is where record i + 1 starts, or the chunk's end.
    linesBehind = new Uint32Array(lines.count);
    const skipped = lines.lineNumber - line;
    for (let i = 0; i < lines.count; i++)
      linesBehind[i] = i + 1 < lines.count ? skipped + lines.lineOffsets[i + 1]! : nextLine - line;
  }
  file.pending.push({
    base: lines.base,
    to: lines.to,
    line,
    nextLine,
    nexts: lines.nexts.slice(),
    linesBehind,
    before,
    marks,
  });
  file.mark(marks, before);
}

const noMarks: RawMarker[] = [];

/** A small chunk of a file of which much was read: a copy that ends within it is known by the mark before it as well. */
function endIsEnough(file: FollowedFile, { base, to }: Lines): boolean {
  const length = to - base;
  if (length >= smallChunk || length * 16 > base) return false;
  return file.marks.count > 0 && file.pending.settled.marker !== null;
}

/** Markers behind the first record and at the quarters of a chunk that is not small. `behind`: its end in the buffer. */
function marksIn(buffer: Buffer, { count, nexts, base, to }: Lines, behind: number): RawMarker[] {
  const marks: RawMarker[] = [];
  if (to - base < 512) return marks;
  const start = behind - (to - base);
  let last = -1;
  for (let quarter = 0; quarter < 4; quarter++) {
    const record = Math.max(0, Math.floor((count * quarter) / 4) - 1);
    if (record === last || record >= count) continue;
    last = record;
    const end = start + nexts[record]!;
    const bytes = Uint8Array.prototype.slice.call(buffer, Math.max(0, end - markerBytes), end);
    marks.push({ to: base + nexts[record]!, bytes });
  }
  return marks;
}
