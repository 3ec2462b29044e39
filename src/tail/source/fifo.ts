/** A named pipe: read as bytes come, never blocking; what was handed out is gone for good. */
import type { Fs } from "../fs/fs.ts";
import { markerBytes } from "../identity/identity.ts";
import type { Source } from "./source.ts";

export class FifoSource implements Source {
  readonly closed = false;
  /** No writer has it open: an unterminated last line will not be finished. */
  ended = false;
  readonly #fs: Fs;
  readonly #fd: number;
  #buffer = Buffer.alloc(65_536);
  /** Position of the buffer's first byte. */
  #from = 0;
  #length = 0;

  constructor(fs: Fs, fd: number) {
    this.#fs = fs;
    this.#fd = fd;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const drop = Math.min(this.#length, Math.max(0, position - markerBytes - this.#from));
    if (drop > 0) {
      this.#buffer.copyWithin(0, drop, this.#length);
      this.#length -= drop;
      this.#from += drop;
    }
    while (this.#from + this.#length < position + length) {
      if (this.#length === this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], this.#buffer.length * 2);
      const n = this.#fs.read(this.#fd, this.#buffer, this.#length, this.#buffer.length - this.#length, null);
      if (n > 0) {
        this.#length += n;
        this.ended = false;
        continue;
      }
      if (n === 0) this.ended = true;
      break;
    }
    const start = position - this.#from;
    return this.#buffer.copy(target, offset, start, Math.min(this.#length, start + length));
  }

  size(): number {
    return this.#from + this.#length;
  }

  close(): void {
    this.#fs.close(this.#fd);
  }
}
