/** Lines of stdin or of a file, in large chunks and without a string per line. */
import { closeSync, constants, fstatSync, openSync, read, readSync } from "node:fs";
import { LogagentError } from "../../errors.ts";
import type { Lines } from "../../lines.ts";

/** Bytes read at a time; a line may be longer. */
const CHUNK = 256 * 1024;
/** Free bytes in front of what is read, for the beginning of its first line, which came with the chunk before. */
const FRONT = 64 * 1024;
/** No broker takes a larger request, unless its socket.request.max.bytes was raised. */
const LONGEST_LINE = 100 * 1024 * 1024;

const none = Buffer.alloc(0);

/** `buffer[FRONT, FRONT + count)` was read. */
interface Chunk {
  buffer: Buffer;
  count: number;
}

export class LineReader {
  private readonly fd: number;
  private readonly name: string;
  /** Regular files answer at once: without the detour over a thread they are read twice as fast. */
  private readonly isFile: boolean;
  /** A pipe opened once more, without waiting; null where that cannot be had. */
  private readonly unblocked: number | null;
  /** The bytes the lines of the latest `next` lie in, and how many of them those lines are. */
  private window: Buffer = none;
  private consumed = 0;
  /** A line longer than FRONT is gathered here. */
  private long: Buffer = none;
  /** Free to be read into; the other one of the two holds the window. */
  private spare: Buffer = Buffer.allocUnsafeSlow(FRONT + CHUNK);
  private other: Buffer = Buffer.allocUnsafeSlow(FRONT + CHUNK);
  /** Through a pipe the next chunk is read while the lines of the last one are being sent. */
  private ahead: Promise<number> | null = null;
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
      const kind = fstatSync(this.fd);
      this.isFile = kind.isFile();
      this.unblocked = kind.isFIFO() ? openUnblocked(this.fd) : null;
    } catch (error) {
      throw new LogagentError("FILE_IO", `reading ${this.name}: ${(error as Error).message}`, error);
    }
  }

  /**
   * The next lines; null at the end. An unterminated last line is one, too. Valid until the next call. Throws LogagentError
   * FILE_IO, or BAD_INPUT for a line of more than 100 MiB.
   */
  async next(): Promise<Lines | null> {
    this.base += this.consumed;
    this.window = this.window.subarray(this.consumed);
    this.consumed = 0;
    while (!this.ended) {
      const { buffer, count } = this.isFile ? this.readNow() : (this.readWhatIsThere() ?? (await this.readAhead()));
      if (count === 0) {
        this.ended = true;
        break;
      }
      this.append(buffer, count);
      if (!this.isFile && this.unblocked === null) this.startRead();
      if (this.window.subarray(this.window.length - count).includes(10)) return this.lines();
    }
    return this.window.length > 0 ? this.lines() : null;
  }

  /** The input as messages name it. */
  get source(): string {
    return this.name;
  }

  /** Lets go of the file, unless a thread waits for its next bytes. */
  close(): void {
    if (this.ahead !== null) return;
    if (this.unblocked !== null) closeSync(this.unblocked);
    if (this.fd !== 0) closeSync(this.fd);
  }

  /** The window is what was left of it and what was read behind it; `buffer` becomes the one that holds it. */
  private append(buffer: Buffer, count: number): void {
    const rest = this.window;
    if (rest.length <= FRONT) {
      rest.copy(buffer, FRONT - rest.length);
      this.window = buffer.subarray(FRONT - rest.length, FRONT + count);
      this.spare = this.other;
      this.other = buffer;
      this.long = none;
      return;
    }
    const size = rest.length + count;
    if (size > LONGEST_LINE) {
      throw new LogagentError("BAD_INPUT", `reading ${this.name}: line ${this.lineNumber} is longer than 100 MiB`);
    }
    const target =
      size <= this.long.length ? this.long : Buffer.allocUnsafeSlow(Math.min(size * 2, LONGEST_LINE + CHUNK));
    if (rest.buffer !== target.buffer || rest.byteOffset !== 0) rest.copy(target, 0);
    buffer.copy(target, rest.length, FRONT, FRONT + count);
    this.long = target;
    this.window = target.subarray(0, size);
  }

  private readNow(): Chunk {
    try {
      return { buffer: this.spare, count: readSync(this.fd, this.spare, FRONT, CHUNK, null) };
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** What a pipe holds already, without the detour over a thread; null for nothing. */
  private readWhatIsThere(): Chunk | null {
    if (this.unblocked === null) return null;
    try {
      return { buffer: this.spare, count: readSync(this.unblocked, this.spare, FRONT, CHUNK, null) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return null;
      throw this.failure(error);
    }
  }

  /** What was read in the meantime, or what comes next. */
  private async readAhead(): Promise<Chunk> {
    if (this.ahead === null) this.startRead();
    const count = await (this.ahead as unknown as Promise<number>);
    this.ahead = null;
    return { buffer: this.spare, count };
  }

  private startRead(): void {
    this.ahead = this.readInto(this.spare);
    // It is waited for with the next lines.
    this.ahead.catch(() => {});
  }

  private readInto(buffer: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.fd, buffer, FRONT, CHUNK, null, (error, count) => {
        // A terminal in non-blocking mode has nothing yet.
        if (error?.code === "EAGAIN") setTimeout(() => resolve(this.readInto(buffer)), 20);
        else if (error?.code === "EOF") resolve(0);
        else if (error) reject(this.failure(error));
        else resolve(count);
      });
    });
  }

  private failure(error: unknown): LogagentError {
    return new LogagentError("FILE_IO", `reading ${this.name}: ${(error as Error).message}`, error);
  }

  private lines(): Lines {
    const bytes = this.window;
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

/** Not the same open file as `fd`: others that share that one must not find it changed. Linux has such names. */
function openUnblocked(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}
