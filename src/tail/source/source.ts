/** Where a file's bytes come from: a descriptor, a decompressing stream, a FIFO. */
import type { Fs } from "../fs/fs.ts";

/** `bytes` from `offset` on, of the file itself, that are not read. */
export interface Damage {
  message: string;
  offset: number;
  bytes: number;
}

export interface Source {
  /** Bytes read; 0: the end for now; -1: not there yet, the source's owner is woken. Positions only grow, save by 64. */
  read(target: Uint8Array, offset: number, length: number, position: number): number;
  /** Ends for good at the end: nothing is ever appended (compressed files). */
  readonly closed: boolean;
  /** Once the end was read: what could not be decompressed, if anything. `closed` false: it may still come. */
  readonly damage?: Damage | null;
  /** Bytes to be had in all, as far as that can be told. */
  size(): number;
  close(): void;
}

/** A plain file: whatever is at the position now. */
export class PlainSource implements Source {
  readonly closed = false;
  readonly fd: number;
  readonly #fs: Fs;

  constructor(fs: Fs, fd: number) {
    this.#fs = fs;
    this.fd = fd;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#fs.read(this.fd, target, offset, length, position);
  }

  size(): number {
    return this.#fs.fstat(this.fd).size;
  }

  close(): void {
    this.#fs.close(this.fd);
  }
}
