/** Reads the next chunk of one file into a reused buffer and makes lines of it. */
import type { Lines } from "../lines.ts";
import { decodeTable, detectEncoding } from "./encoding.ts";
import type { FollowedFile } from "./file.ts";
import { hashBytes, markerBytes } from "./identity.ts";
import { groupLines } from "./multiline.ts";
import type { RawMarker } from "./pending.ts";
import { LineTable, maxRecords, nulRun, scanLines, scanLines16, trimCr } from "./scan.ts";
import type { Source } from "./source.ts";
import type { TailEvent, TailOptions } from "./types.ts";

/** Bytes one read asks for: the quantum of fairness between files. */
export const chunkBytes = 256 * 1024;

/** "end": nothing more for now; "later": the source is not ready; "changed": what lies before the position is not what was read. */
export type ReadResult = Lines | "end" | "later" | "changed";

export interface ReadLimits {
  /** Records. */
  records: number;
  /** Hand out a pending group of complete lines (multiline time-out). */
  flushGroup: boolean;
}

type Report = (event: TailEvent) => void;
type Options = Pick<
  TailOptions,
  "maxLineBytes" | "tooLong" | "trimCr" | "encoding" | "multiline" | "include" | "excludeLines"
>;

export class Reader {
  readonly #options: Options;
  readonly #report: Report;
  readonly #verify: boolean;
  readonly #table = new LineTable();
  #buffer: Buffer;

  /** `verify` false (a test's mutant): what lies before the position is not compared. */
  constructor(options: Options, report: Report, verify = true) {
    this.#options = options;
    this.#verify = verify;
    this.#report = report;
    this.#buffer = Buffer.alloc(0);
  }

  read(file: FollowedFile, source: Source, limits: ReadLimits): ReadResult {
    if (this.#buffer.length === 0) this.#buffer = Buffer.allocUnsafeSlow(chunkBytes + markerBytes);
    for (;;) {
      const result = this.#once(file, source, limits);
      if (result !== "more") return result;
    }
  }

  /** A file that was found again: checks its marker and remembers the bytes before its position. */
  prepare(file: FollowedFile, source: Source): "ready" | "later" | "changed" {
    if (this.#options.encoding === "auto" && file.encoding === null && file.read > 0) {
      const bom = Buffer.alloc(2);
      const n = source.read(bom, 0, 2, 0);
      if (n < 0) return "later";
      file.encoding = detectEncoding("auto", bom.subarray(0, n));
    }
    if (file.headMissing) {
      const { length, hash } = file.fingerprint;
      const head = Buffer.alloc(length);
      const n = source.read(head, 0, length, 0);
      if (n < 0) return "later";
      if (n < length || hashBytes(head) !== hash) return "changed";
      file.restoreHead(head);
    }
    const { expect } = file;
    if (expect === null) return "ready";
    const bytes = Buffer.alloc(Math.max(expect.length, file.read - expect.from));
    const n = source.read(bytes, 0, bytes.length, expect.from);
    if (n < 0) return "later";
    if (n < bytes.length || hashBytes(bytes.subarray(0, expect.length)) !== expect.hash) return "changed";
    file.setTail(bytes.subarray(0, file.read - expect.from));
    file.expect = null;
    return "ready";
  }

  #once(file: FollowedFile, source: Source, limits: ReadLimits): ReadResult | "more" {
    const { maxLineBytes, multiline } = this.#options;
    file.openGroup = false;
    const buffer = this.#buffer;
    const data = file.tailLength;
    const room = Math.min(buffer.length, data + Math.max(0, file.limit - file.read));
    const n = source.read(buffer, 0, room, file.read - data);
    if (n < 0) return "later";
    if (n < data || (this.#verify && buffer.compare(file.tail, 0, data, 0, data) !== 0)) return "changed";
    const full = n === buffer.length;
    const length = n - data;
    const head = file.head;
    if (this.#verify && data === 0 && head !== null && head.length > 0 && file.read === 0) {
      const known = Math.min(head.length, n);
      if ((n < room && n < head.length) || buffer.compare(head, 0, known, 0, known) !== 0) return "changed";
    }
    if (this.#verify && file.sample && !keepsSample(file, buffer, n, n < room)) return "changed";
    const ended = n < room || file.read + length >= file.limit;
    if (file.headOpen && length > 0) this.#growHead(file, n);
    if (length === 0) return "end";
    file.encoding ??= detectEncoding(this.#options.encoding, file.read === 0 ? buffer.subarray(data, n) : null);
    if (buffer[data] === 0 && length >= 4096 && nulRun(buffer, data, n) === length)
      return this.#hole(file, source, length);

    const table = this.#table;
    const limit = Math.max(1, Math.min(maxRecords, multiline ? maxRecords : limits.records));
    const wide = file.encoding === "utf-16le" || file.encoding === "utf-16be";
    let behind = wide
      ? scanLines16(buffer, data, n, limit, table, file.encoding as "utf-16le")
      : scanLines(buffer, data, n, data + Math.max(0, Math.min(file.scanned - file.read, length)), limit, table);
    const rest = n - behind;
    const atEnd = ended && table.count < limit;
    if (table.count === 0 || (multiline && atEnd === false && table.count < limit)) {
      if (table.count === 0 && rest > maxLineBytes) return this.#tooLong(file, source, data, n, wide);
      if (table.count === 0 && full) {
        this.#grow(Math.min(2 * buffer.length, maxLineBytes + 2 + markerBytes + chunkBytes));
        return "more";
      }
    }
    if (atEnd && file.final && rest > 0 && table.count < limit) {
      // Nobody will finish this line any more.
      table.starts[table.count] = behind;
      table.ends[table.count] = n;
      table.nexts[table.count++] = n;
      behind = n;
    }
    if (table.count === 0) {
      file.scanned = file.read + length - trailingNuls(buffer, data, n);
      return "end";
    }
    const long = this.#checkLengths(file, table, data);
    if (long) {
      if (table.count === 0) return this.#tooLong(file, source, data, n, wide);
      behind = table.nexts[table.count - 1]!;
    }
    const physical = table.count;
    let grouped = false;
    if (multiline) {
      const openEnd = !(atEnd && !long && (limits.flushGroup || file.final));
      const kept = groupLines(buffer, table, multiline, openEnd, data, file.encoding);
      if (kept.records === 0) {
        if (atEnd || long) {
          file.openGroup = true;
          return "end";
        }
        if (full && buffer.length < multiline.maxBytes + chunkBytes) {
          this.#grow(2 * buffer.length);
          return "more";
        }
        groupLines(buffer, table, multiline, false, data, file.encoding);
      }
      grouped = true;
      behind = table.nexts[table.count - 1]!;
    } else for (let i = 0; i < physical; i++) table.lines[i] = i;
    return this.#emit(file, table, data, behind, grouped);
  }

  /** Turns the table into a chunk and moves the file on. */
  #emit(file: FollowedFile, table: LineTable, data: number, behind: number, grouped: boolean): Lines {
    const { include, excludeLines } = this.#options;
    const buffer = this.#buffer;
    const physical = table.count;
    const nextLine = file.line + (grouped ? table.lines[physical]! : physical);
    for (let i = 0; i < table.count; i++) {
      const start = table.starts[i]!;
      if (buffer[start] !== 0 || start === table.ends[i]) continue;
      const run = nulRun(buffer, start, table.ends[i]!);
      if (run >= 16 || (file.read === 0 && i === 0 && file.encoding !== "utf-16be")) table.starts[i] = start + run;
    }
    const bom = file.read === 0 ? bomLength(buffer, data, file.encoding, this.#options.encoding) : 0;
    if (bom > 0) table.starts[0] = Math.max(table.starts[0]!, data + bom);
    let bytes: Buffer = buffer;
    if (file.encoding === "utf-16le" || file.encoding === "utf-16be" || file.encoding === "latin1")
      bytes = decodeTable(buffer, table, file.encoding);
    if (this.#options.trimCr) trimCr(bytes, table);
    let filtered = false;
    if (include || excludeLines) filtered = filterTable(bytes, table, include, excludeLines);
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
      ...(offsets ? { lineOffsets: offsets } : {}),
    };
    this.#advance(file, behind, nextLine, lines);
    return lines;
  }

  /** Records what is pending and remembers the bytes before the new position. */
  #advance(file: FollowedFile, behind: number, nextLine: number, lines: Lines): void {
    const line = file.line;
    file.setTail(this.#buffer.subarray(Math.max(0, behind - markerBytes), behind));
    file.read = lines.to;
    file.scanned = lines.to;
    file.line = nextLine;
    const marks = this.#marks(lines, behind);
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
      before: file.tailBytes(),
      marks,
    });
    file.mark(marks);
  }

  /** Markers at the quarters of a chunk that is not small. `behind`: its end in the buffer. */
  #marks({ count, nexts, base, to }: Lines, behind: number): RawMarker[] {
    const marks: RawMarker[] = [];
    if (to - base < 512) return marks;
    const start = behind - (to - base);
    for (let quarter = 1; quarter < 4; quarter++) {
      const record = Math.floor((count * quarter) / 4) - 1;
      if (record < 0) continue;
      const end = start + nexts[record]!;
      const bytes = Uint8Array.prototype.slice.call(this.#buffer, Math.max(0, end - markerBytes), end);
      marks.push({ to: base + nexts[record]!, bytes });
    }
    return marks;
  }

  /** Cuts the table before the first line that is too long; true if there is one. */
  #checkLengths(_file: FollowedFile, table: LineTable, data: number): boolean {
    const { maxLineBytes } = this.#options;
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
  #tooLong(file: FollowedFile, source: Source, data: number, n: number, wide: boolean): ReadResult | "more" {
    const { maxLineBytes, tooLong } = this.#options;
    const buffer = this.#buffer;
    const table = this.#table;
    if (tooLong === "split") {
      let cut = data + maxLineBytes;
      if (wide) cut -= maxLineBytes % 2;
      else for (let back = 0; back < 3 && cut > data + 1 && (buffer[cut]! & 0xc0) === 0x80; back++) cut--;
      table.count = 1;
      table.starts[0] = data;
      table.ends[0] = cut;
      table.nexts[0] = cut;
      table.lines[0] = 0;
      table.lines[1] = 0;
      this.#report({
        level: "warn",
        name: "line-too-long",
        message: `split a line longer than ${maxLineBytes} bytes`,
        path: file.path,
        file: file.id,
        bytes: cut - data,
        lines: 1,
      });
      return this.#emit(file, table, data, cut, true);
    }
    let end = -1;
    const inBuffer = wide ? this.#find16(file, data, n) : buffer.subarray(0, n).indexOf(10, data);
    if (inBuffer >= 0) end = inBuffer - data;
    let at = Math.max(file.scanned - file.read, n - data);
    if (wide) at -= at % 2;
    const probe = end < 0 ? Buffer.allocUnsafe(chunkBytes) : null;
    while (end < 0) {
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
    const kept = tooLong === "cut" ? maxLineBytes - (wide ? maxLineBytes % 2 : 0) : 0;
    this.#report({
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
    const base = file.read;
    table.count = kept > 0 ? 1 : 0;
    table.starts[0] = data;
    table.ends[0] = data + kept;
    table.nexts[0] = Math.min(to, 0xffff_ffff);
    const bytes =
      file.encoding === "raw" || file.encoding === "utf-8" || kept === 0
        ? buffer
        : decodeTable(buffer, table, file.encoding!);
    const count = table.count;
    const lines: Lines = {
      file: file.id,
      base,
      to: base + to,
      bytes,
      count,
      lineNumber: file.line,
      starts: table.starts.subarray(0, count),
      ends: table.ends.subarray(0, count),
      nexts: table.nexts.subarray(0, count),
    };
    const line = file.line;
    file.setTail(before);
    file.read = lines.to;
    file.scanned = lines.to;
    file.line = line + 1;
    file.pending.push({
      base,
      to: lines.to,
      line,
      nextLine: line + 1,
      nexts: lines.nexts.slice(),
      linesBehind: null,
      before: file.tailBytes(),
      marks: [],
    });
    return lines;
  }

  #find16(file: FollowedFile, data: number, n: number): number {
    this.#table.count = 0;
    scanLines16(this.#buffer, data, n, 1, this.#table, file.encoding as "utf-16le");
    return this.#table.count > 0 ? this.#table.ends[0]! : -1;
  }

  /** Only NULs so far: a hole that a writer without O_APPEND left behind a truncation. Passed once something follows it. */
  #hole(file: FollowedFile, source: Source, known: number): ReadResult {
    const block = Buffer.allocUnsafe(1 << 20);
    let at = Math.max(file.read + known, file.holeScanned);
    for (;;) {
      const n = source.read(block, 0, Math.min(block.length, file.limit - at), at);
      if (n < 0) return "later";
      if (n === 0) {
        file.holeScanned = at;
        return "end";
      }
      const run = nulRun(block, 0, n);
      at += run;
      if (run < n) break;
    }
    const wide = file.encoding === "utf-16le" || file.encoding === "utf-16be";
    if (wide && (at - file.read) % 2 !== 0) at--;
    this.#report({
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
      bytes: this.#buffer,
      starts: none,
      ends: none,
      nexts: none,
      count: 0,
      lineNumber: file.line,
    };
  }

  #growHead(file: FollowedFile, n: number): void {
    const from = file.read - file.tailLength;
    const end = n - trailingNuls(this.#buffer, 0, n);
    if (end > 0) file.growHead(this.#buffer.subarray(0, end), from);
  }

  #grow(length: number): void {
    if (length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(length);
  }
}

/** Compares what was sampled when it was unread, once a read covers it. `start`: bytes [file.read - tail, …) of the file. */
function keepsSample(file: FollowedFile, bytes: Buffer, n: number, ended: boolean): boolean {
  const { from, bytes: wanted } = file.sample!;
  const at = from - (file.read - file.tailLength);
  if (at + wanted.length > n) return !ended;
  file.sample = null;
  return at < 0 || bytes.compare(wanted, 0, wanted.length, at, at + wanted.length) === 0;
}

function trailingNuls(bytes: Uint8Array, from: number, to: number): number {
  let at = to;
  while (at > from && bytes[at - 1] === 0) at--;
  return to - at;
}

function bomLength(
  bytes: Uint8Array,
  at: number,
  encoding: FollowedFile["encoding"],
  wanted: TailOptions["encoding"],
): number {
  if (encoding === "utf-16le") return bytes[at] === 0xff && bytes[at + 1] === 0xfe ? 2 : 0;
  if (encoding === "utf-16be") return bytes[at] === 0xfe && bytes[at + 1] === 0xff ? 2 : 0;
  return wanted === "auto" && bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf ? 3 : 0;
}

/** Keeps records that match; true if any was left out. */
function filterTable(bytes: Buffer, table: LineTable, include: RegExp | null, exclude: RegExp | null): boolean {
  let kept = 0;
  for (let i = 0; i < table.count; i++) {
    const text = bytes.toString("utf8", table.starts[i]!, table.ends[i]!);
    if ((include && text.search(include) < 0) || (exclude && text.search(exclude) >= 0)) continue;
    table.starts[kept] = table.starts[i]!;
    table.ends[kept] = table.ends[i]!;
    table.nexts[kept] = table.nexts[i]!;
    table.lines[kept++] = table.lines[i]!;
  }
  const filtered = kept < table.count;
  table.count = kept;
  return filtered;
}
