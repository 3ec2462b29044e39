/**
 * Lines that prove themselves: `<file> <number> <filler> <checksum>`. From what a topic holds, `readLine` tells damaged,
 * missing, repeated and reordered lines (oracle.ts in test/faults).
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";

export interface NumberedLine {
  file: string;
  number: number;
}

/** One line without its newline, `length` bytes or longer; the filler varies with the number. */
export function makeLine(file: string, number: number, length = 80): string {
  const head = `${file} ${number} `;
  const filler = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(Math.ceil(length / 36) + 1);
  const start = (number * 7) % 36;
  const body = head + filler.slice(start, start + Math.max(0, length - head.length - 9));
  return `${body} ${crc32(body).toString(16).padStart(8, "0")}`;
}

/** Null for anything that `makeLine` did not make. */
export function readLine(line: string): NumberedLine | null {
  const at = line.length - 9;
  if (at < 0 || line[at] !== " ") return null;
  const body = line.slice(0, at);
  if (crc32(body).toString(16).padStart(8, "0") !== line.slice(at + 1)) return null;
  const [file, number] = body.split(" ", 2);
  return { file: file!, number: Number(number) };
}

/** Appends numbered lines to a path, reopening after `rotate` as a logging program does. */
export class LineWriter {
  readonly file: string;
  readonly path: string;
  /** Lines written so far: numbers 1…written. */
  written = 0;
  private readonly length: number;
  private fd: number;

  constructor(path: string, file: string, length = 80) {
    this.path = path;
    this.file = file;
    this.length = length;
    this.fd = openSync(path, "a");
  }

  write(count = 1): void {
    let text = "";
    for (let i = 0; i < count; i++) text += `${makeLine(this.file, ++this.written, this.length)}\n`;
    const bytes = Buffer.from(text);
    for (let done = 0; done < bytes.length; ) done += writeSync(this.fd, bytes, done);
  }

  /** Calls `move` (rename, …) while the old file is open, then opens the path anew. */
  rotate(move: () => void): void {
    move();
    closeSync(this.fd);
    this.fd = openSync(this.path, "a");
  }

  close(): void {
    closeSync(this.fd);
  }
}
