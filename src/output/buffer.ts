/**
 * Bytes on their way to stdout: collected in one buffer while the other is being written, so that a record costs no
 * call and a slow reader pushes back. Nothing is lost at the end as long as `end` is awaited.
 */
import type { Writable } from "node:stream";
import { LogagentError } from "../errors.ts";

const initialBytes = 256 * 1024;

export class OutputBuffer {
  /** Write here, from `length` on, after `reserve`. */
  bytes = Buffer.allocUnsafe(initialBytes);
  length = 0;
  /** The reader is gone (EPIPE): what is written has no use any more. */
  closed = false;
  private spare = Buffer.allocUnsafe(initialBytes);
  private writing: Promise<void> | null = null;
  private error: Error | null = null;
  private readonly stream: Writable;

  constructor(stream: Writable) {
    this.stream = stream;
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.length + count, this.bytes.length * 2));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  /** Appends `source[from, to)`. */
  copy(source: Buffer, from: number, to: number): void {
    this.reserve(to - from);
    source.copy(this.bytes, this.length, from, to);
    this.length += to - from;
  }

  text(text: string): void {
    this.reserve(text.length * 3);
    this.length += this.bytes.write(text, this.length);
  }

  /** Decimal digits of an integer. */
  integer(value: number | bigint): void {
    if (value < 0 || value > 0x7fffffff) {
      this.text(String(value));
      return;
    }
    const small = Number(value);
    let digits = 1;
    for (let limit = 10; limit <= small; limit *= 10) digits++;
    this.reserve(digits);
    const end = this.length + digits;
    let rest = small | 0;
    for (let at = end - 1; at >= this.length; at--) {
      const tenth = (rest / 10) | 0;
      this.bytes[at] = 48 + rest - tenth * 10;
      rest = tenth;
    }
    this.length = end;
  }

  /** Starts writing what is collected, once the write before it has ended. Throws LogagentError FILE_IO. */
  async flush(): Promise<void> {
    // More than one caller may wait: only one of them finds it over.
    while (this.writing) await this.writing;
    if (this.error) throw this.error;
    if (this.length === 0) return;
    if (this.closed) {
      this.length = 0;
      return;
    }
    const full = this.bytes;
    const chunk = full.subarray(0, this.length);
    this.bytes = this.spare;
    this.length = 0;
    const written = new Promise<void>((resolve) => {
      this.stream.write(chunk, (error) => {
        if (error && (error as NodeJS.ErrnoException).code === "EPIPE") this.closed = true;
        else if (error)
          this.error ??= new LogagentError("FILE_IO", `writing to standard output: ${error.message}`, error);
        this.spare = full;
        resolve();
      });
    });
    // Not inside the callback, which may come before `write` returns.
    this.writing = written.then(() => {
      this.writing = null;
    });
  }

  /** Resolves when everything was taken by the reader. */
  async end(): Promise<void> {
    await this.flush();
    while (this.writing) await this.writing;
    if (this.error) throw this.error;
  }
}
