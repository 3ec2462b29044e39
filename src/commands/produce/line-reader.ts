/** Lines of stdin or of a file, in large chunks and without a string per line. */
import { fstatSync, openSync, read, readSync } from "node:fs";
import { LogagentError } from "../../errors.ts";
import type { Lines } from "../../lines.ts";

/** Bytes read at a time; a line may be longer. */
const CHUNK = 256 * 1024;
/** No broker takes a record of this size. */
const LONGEST_LINE = 256 * 1024 * 1024;

export class LineReader {
  private readonly fd: number;
  private readonly name: string;
  /** Regular files answer at once: without the detour over a thread they are read twice as fast. */
  private readonly isFile: boolean;
  private buffer = Buffer.allocUnsafeSlow(CHUNK);
  private filled = 0;
  private consumed = 0;
  private ended = false;
  private starts = new Uint32Array(4096);
  private ends = new Uint32Array(4096);
  private nexts = new Uint32Array(4096);
  private base = 0;
  private lineNumber = 1;

  /** `path` "-" is stdin. Throws LogagentError FILE_IO. */
  constructor(path: string) {
    this.name = path === "-" ? "stdin" : `"${path}"`;
    try {
      this.fd = path === "-" ? 0 : openSync(path, "r");
      this.isFile = fstatSync(this.fd).isFile();
    } catch (error) {
      throw new LogagentError("FILE_IO", `reading ${this.name}: ${(error as Error).message}`, error);
    }
  }

  /**
   * The next lines; null at the end. An unterminated last line is one, too. Valid until the next call. Throws LogagentError
   * FILE_IO, or BAD_INPUT for a line of more than 256 MiB.
   */
  async next(): Promise<Lines | null> {
    this.buffer.copyWithin(0, this.consumed, this.filled);
    this.filled -= this.consumed;
    this.base += this.consumed;
    this.consumed = 0;
    while (!this.ended) {
      if (this.filled === this.buffer.length) this.grow();
      const from = this.filled;
      const count = await this.read();
      this.filled += count;
      if (count === 0) this.ended = true;
      else if (this.buffer.subarray(from, this.filled).includes(10)) return this.lines();
    }
    return this.filled > 0 ? this.lines() : null;
  }

  private grow(): void {
    if (this.buffer.length >= LONGEST_LINE) {
      throw new LogagentError("BAD_INPUT", `reading ${this.name}: line ${this.lineNumber} is longer than 256 MiB`);
    }
    const larger = Buffer.allocUnsafeSlow(this.buffer.length * 2);
    this.buffer.copy(larger, 0, 0, this.filled);
    this.buffer = larger;
  }

  private read(): number | Promise<number> {
    const { fd, buffer, filled } = this;
    if (this.isFile) return this.check(() => readSync(fd, buffer, filled, buffer.length - filled, null));
    return new Promise((resolve, reject) => {
      read(fd, buffer, filled, buffer.length - filled, null, (error, count) => {
        // A terminal in non-blocking mode has nothing yet.
        if (error?.code === "EAGAIN") setTimeout(() => resolve(this.read()), 20);
        else if (error?.code === "EOF") resolve(0);
        else if (error) reject(new LogagentError("FILE_IO", `reading ${this.name}: ${error.message}`, error));
        else resolve(count);
      });
    });
  }

  private check(step: () => number): number {
    try {
      return step();
    } catch (error) {
      throw new LogagentError("FILE_IO", `reading ${this.name}: ${(error as Error).message}`, error);
    }
  }

  private lines(): Lines {
    const bytes = this.buffer.subarray(0, this.filled);
    let count = 0;
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(10, start);
      if (end < 0) break;
      if (count === this.starts.length) this.moreLines();
      this.starts[count] = start;
      this.ends[count] = end;
      start = end + 1;
      this.nexts[count++] = start;
    }
    if (this.ended && start < bytes.length) {
      if (count === this.starts.length) this.moreLines();
      this.starts[count] = start;
      this.ends[count] = bytes.length;
      start = bytes.length;
      this.nexts[count++] = start;
    }
    this.consumed = start;
    const { starts, ends, nexts, base, lineNumber } = this;
    this.lineNumber += count;
    return { file: 0, base, to: base + start, bytes, starts, ends, nexts, count, lineNumber };
  }

  private moreLines(): void {
    const grow = (old: Uint32Array) => {
      const larger = new Uint32Array(old.length * 2);
      larger.set(old);
      return larger;
    };
    this.starts = grow(this.starts);
    this.ends = grow(this.ends);
    this.nexts = grow(this.nexts);
  }
}
