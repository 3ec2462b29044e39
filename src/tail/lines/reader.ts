/** Reads the next chunk of one file into a reused buffer and makes lines of it. */
import type { Lines } from "../../lines.ts";
import type { Judgement } from "../files/decisions.ts";
import type { FollowedFile } from "../files/file.ts";
import { hashBytes, markerBytes } from "../identity/identity.ts";
import type { Source } from "../source/source.ts";
import { makeChunk, type Reading, type ReadOptions } from "./chunk.ts";
import { detectEncoding, isWide } from "./encoding.ts";
import { passHole } from "./hole.ts";
import { cutBeforeLong, takeLongLine } from "./long-line.ts";
import { groupLines } from "./multiline.ts";
import { LineTable, maxRecords, nulRun, scanLines, scanLines16, trailingNuls } from "./scan.ts";

/** Bytes one read asks for: the quantum of fairness between files. */
export const chunkBytes = 256 * 1024;

/**
 * "end": nothing more for now; "later": the source is not ready; "again": as much was looked through as one turn may, and there
 * is more; "changed": what lies before the position is not what was read.
 */
export type ReadResult = Lines | "end" | "later" | "again" | "changed";

/** Bytes that one turn looks through at most in search of a line's end or of what follows a hole. */
export const turnBytes = 4 << 20;

export interface ReadLimits {
  /** Records. */
  records: number;
  /** Hand out a pending group of complete lines (multiline time-out). */
  flushGroup: boolean;
}

export class Reader {
  readonly #options: ReadOptions;
  readonly #report: Reading["report"];
  readonly #judgement: Pick<Judgement, "keepsRead">;

  /** Bytes that a source was asked for and has not answered yet: the next try asks for as much. */
  readonly #asked = new WeakMap<FollowedFile, number>();

  constructor(options: ReadOptions, report: Reading["report"], judgement: Pick<Judgement, "keepsRead">) {
    this.#options = options;
    this.#judgement = judgement;
    this.#report = report;
  }

  read(file: FollowedFile, source: Source, limits: ReadLimits): ReadResult {
    // A line that goes on behind what was scanned needs more than a chunk.
    const begun = Math.max(0, Math.min(file.scanned - file.read, this.#options.maxLineBytes));
    const asked = this.#asked.get(file);
    this.#asked.delete(file);
    for (let size = asked ?? chunkBytes + markerBytes + begun; ; ) {
      const result = this.#once(file, source, limits, memory(size));
      if (result === "later") this.#asked.set(file, size);
      if (typeof result !== "number") return result;
      size = result;
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
    if (file.headMissing || file.headUnproven) {
      const { length, hash } = file.fingerprint;
      const head = Buffer.alloc(length);
      const n = source.read(head, 0, length, 0);
      if (n < 0) return "later";
      if (n < length || hashBytes(head) !== hash) return "changed";
      if (file.headMissing) file.restoreHead(head);
      file.headUnproven = false;
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

  /** A number: so many bytes are needed at once. */
  #once(file: FollowedFile, source: Source, limits: ReadLimits, { buffer, table }: Memory): ReadResult | number {
    const { maxLineBytes, multiline } = this.#options;
    file.openGroup = false;
    file.exhausted = false;
    const data = file.tailLength;
    const room = Math.min(buffer.length, data + Math.max(0, file.limit - file.read));
    const n = source.read(buffer, 0, room, file.read - data);
    if (n < 0) return "later";
    if (n < data || !this.#judgement.keepsRead(file, buffer, n, n < room)) return "changed";
    const full = n === buffer.length;
    const length = n - data;
    const ended = n < room || file.read + length >= file.limit;
    if (file.headOpen && length > 0) growHead(file, buffer, n);
    if (length === 0) return "end";
    // Entered in the middle, its encoding is known from `prepare`.
    file.encoding ??= detectEncoding(this.#options.encoding, buffer.subarray(0, n)) ?? (file.final ? "utf-8" : null);
    if (file.encoding === null) return "end";
    const reading = { file, source, options: this.#options, report: this.#report, buffer, data, n, table };
    if (buffer[data] === 0 && length >= 4096 && nulRun(buffer, data, n) === length) return passHole(reading, length);

    const limit = Math.max(1, Math.min(maxRecords, multiline ? maxRecords : limits.records));
    let behind = isWide(file.encoding)
      ? scanLines16(buffer, data, n, limit, table, file.encoding)
      : scanLines(buffer, data, n, data + Math.max(0, Math.min(file.scanned - file.read, length)), limit, table);
    const rest = n - behind;
    const atEnd = ended && table.count < limit;
    if (table.count === 0 || (multiline && atEnd === false && table.count < limit)) {
      if (table.count === 0 && rest > maxLineBytes) return takeLongLine(reading);
      if (table.count === 0 && full) {
        return Math.min(2 * buffer.length, maxLineBytes + 2 + markerBytes + chunkBytes);
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
    const long = cutBeforeLong(table, data, maxLineBytes);
    if (long) {
      if (table.count === 0) return takeLongLine(reading);
      behind = table.nexts[table.count - 1]!;
    }
    const physical = table.count;
    let grouped = false;
    if (multiline) {
      const openEnd = !(atEnd && !long && (limits.flushGroup || file.final));
      const kept = groupLines(buffer, table, multiline, openEnd, file.encoding);
      if (kept.records === 0) {
        if (atEnd || long) {
          file.openGroup = true;
          return "end";
        }
        if (full && buffer.length < multiline.maxBytes + chunkBytes) {
          return 2 * buffer.length;
        }
        groupLines(buffer, table, multiline, false, file.encoding);
      }
      grouped = true;
      behind = table.nexts[table.count - 1]!;
    } else for (let i = 0; i < physical; i++) table.lines[i] = i;
    file.exhausted = atEnd && !long && !multiline;
    return makeChunk(reading, behind, grouped);
  }
}

interface Memory {
  buffer: Buffer;
  table: LineTable;
}

/** What is read into, by all inputs: a chunk is taken over before the next one is read, whoever reads it. */
let shared: Memory | null = null;

/** `size`: bytes of the buffer. One for a long line is kept, for where one is long others are. */
function memory(size: number): Memory {
  shared ??= { buffer: Buffer.allocUnsafeSlow(size), table: new LineTable() };
  if (size > shared.buffer.length) shared.buffer = Buffer.allocUnsafeSlow(Math.max(size, 2 * shared.buffer.length));
  return { buffer: shared.buffer.subarray(0, size), table: shared.table };
}

function growHead(file: FollowedFile, buffer: Buffer, n: number): void {
  const from = file.read - file.tailLength;
  const end = n - trailingNuls(buffer, 0, n);
  if (end > 0) file.growHead(buffer.subarray(0, end), from);
}
