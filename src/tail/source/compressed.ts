/** Reads gzip and zstd files as the content they were made from; positions are those of the decompressed bytes. */
import type { Fs } from "../fs/fs.ts";
import { markerBytes, readFully } from "../identity/identity.ts";
import { type Codec, Decoder } from "./decoder.ts";
import type { Damage, Source } from "./source.ts";
import type { ReadInput } from "./zstd-ends.ts";

/** Compressed files up to this size are decompressed at once to be compared, to at most so much. Bytes. */
const wholeBytes = 512 * 1024;
const wholeOutput = 16 * 1024 * 1024;
/** Bytes of a larger one that are compared. */
const prefixOutput = 4 * 1024 * 1024;
/** Steps one read takes at most: others wait meanwhile. */
const mostSteps = 256;

/** Bytes at the beginning of a file that `codecOf` asks for. */
export const magicBytes = 6;

/** By the first bytes (RFC 1952, RFC 8878, those of xz and bzip2), or null. */
export function codecOf(head: Uint8Array): Codec | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return "zstd";
  const magic = Buffer.from(head).toString("latin1");
  if (magic.startsWith("\xfd7zXZ\0")) return "xz";
  if (/^BZh[1-9]1A/.test(magic)) return "bzip2";
  return null;
}

/** What can be decompressed of the beginning of an input; may be empty. */
export function decompressPrefix(codec: Codec, bytes: Uint8Array): Buffer {
  return decodeSome(codec, (position, length) => bytes.subarray(position, position + length), prefixOutput).content;
}

/** All of a small file, or null: too large, damaged, or not complete yet. */
export function decompressWhole(fs: Fs, fd: number, codec: Codec, size: number): Buffer | null {
  if (size > wholeBytes) return null;
  const { content, complete } = decodeSome(codec, inputOf(fs, fd), wholeOutput);
  return complete ? content : null;
}

/** At most `most` bytes of the content. */
function decodeSome(codec: Codec, read: ReadInput, most: number): { content: Buffer; complete: boolean } {
  const decoder = new Decoder(codec, read);
  const parts: Buffer[] = [];
  let length = 0;
  let part = decoder.step();
  for (; part !== null && length < most; part = decoder.step()) {
    const kept = Buffer.from(part.subarray(0, most - length));
    length += kept.length;
    if (kept.length > 0) parts.push(kept);
  }
  const complete = part === null && decoder.fault === null && !decoder.isCut;
  decoder.close();
  return { content: Buffer.concat(parts, length), complete };
}

function inputOf(fs: Fs, fd: number): ReadInput {
  return (position, length) => readFully(fs, fd, position, length);
}

/** Opens the content of a compressed file; takes over the descriptor. `wake` is called when more can be read. */
export function openCompressed(fs: Fs, fd: number, codec: Codec, wake: () => void): Source {
  return new CompressedSource(fs, fd, codec, wake);
}

/** Decompresses as far as is asked for; keeps what was asked for last, and little before it. */
class CompressedSource implements Source {
  closed = false;
  damage: Damage | null = null;
  readonly #fs: Fs;
  readonly #fd: number;
  readonly #codec: Codec;
  readonly #wake: () => void;
  #decoder: Decoder;
  #parts: Buffer[] = [];
  /** Position of the first kept byte. */
  #from = 0;
  #kept = 0;
  #ended = false;
  #open = true;

  constructor(fs: Fs, fd: number, codec: Codec, wake: () => void) {
    this.#fs = fs;
    this.#fd = fd;
    this.#codec = codec;
    this.#wake = wake;
    this.#decoder = new Decoder(codec, inputOf(fs, fd));
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    if (position < this.#from) this.#rewind();
    this.#drop(position - markerBytes);
    for (let steps = 0; !this.#ended && this.#from + this.#kept < position + length; steps++) {
      if (steps === mostSteps) {
        setImmediate(() => this.#open && this.#wake());
        return -1;
      }
      const part = this.#decoder.step();
      if (part === null) this.#end();
      else this.#keep(part, position - markerBytes);
    }
    return this.#copy(target, offset, length, position);
  }

  size(): number {
    return this.#from + this.#kept;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#decoder.close();
    this.#fs.close(this.#fd);
  }

  #copy(target: Uint8Array, offset: number, length: number, position: number): number {
    let copied = 0;
    let at = this.#from;
    for (const part of this.#parts) {
      const start = position + copied - at;
      if (start < part.length)
        copied += part.copy(target, offset + copied, start, Math.min(part.length, start + length - copied));
      at += part.length;
      if (copied >= length) break;
    }
    return copied;
  }

  #keep(part: Buffer, position: number): void {
    if (part.length === 0) return;
    if (this.#kept === 0 && this.#from + part.length <= position) this.#from += part.length;
    else {
      this.#parts.push(Buffer.from(part));
      this.#kept += part.length;
      this.#drop(position);
    }
  }

  #drop(position: number): void {
    let part = this.#parts[0];
    while (part && this.#from + part.length <= position) {
      this.#from += part.length;
      this.#kept -= part.length;
      this.#parts.shift();
      part = this.#parts[0];
    }
  }

  #rewind(): void {
    this.#decoder.close();
    this.#decoder = new Decoder(this.#codec, inputOf(this.#fs, this.#fd));
    this.#parts = [];
    this.#from = 0;
    this.#kept = 0;
    this.#ended = false;
  }

  #end(): void {
    this.#ended = true;
    const { fault, isCut, taken } = this.#decoder;
    const { size } = this.#fs.fstat(this.#fd);
    // Cut short it may be still being written, or never will be completed.
    this.closed = fault !== null || !isCut;
    if (fault !== null) this.damage = { ...fault, bytes: size - fault.offset };
    else if (isCut) this.damage = { message: "the file ends in the middle of its content", offset: taken, bytes: 0 };
  }
}
