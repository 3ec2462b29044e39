/** Reads gzip and zstd files as the content they were made from; positions are those of the decompressed bytes. */
import { constants, createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Fs } from "../fs/fs.ts";
import { readFully } from "../identity/identity.ts";
import type { Source } from "./source.ts";

export type Codec = "gzip" | "zstd";

/** Compressed files up to this size are decompressed at once; larger ones as a stream. Bytes. */
const wholeBytes = 512 * 1024;
const wholeOutput = 16 * 1024 * 1024;
const windowBytes = 1 << 20;

/** By the first bytes (RFC 1952, RFC 8878), or null. */
export function codecOf(head: Uint8Array): Codec | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return "zstd";
  return null;
}

/** What can be decompressed of an incomplete input; may be empty. */
export function decompressPrefix(codec: Codec, bytes: Uint8Array): Buffer {
  try {
    return codec === "gzip"
      ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: wholeOutput })
      : zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_continue, maxOutputLength: wholeOutput });
  } catch {
    return Buffer.alloc(0);
  }
}

/** All of a small file, or null: too large, or not complete yet. */
export function decompressWhole(fs: Fs, fd: number, codec: Codec, size: number): Buffer | null {
  if (size > wholeBytes) return null;
  const bytes = readFully(fs, fd, 0, size);
  try {
    return codec === "gzip"
      ? gunzipSync(bytes, { maxOutputLength: wholeOutput })
      : zstdDecompressSync(bytes, { maxOutputLength: wholeOutput });
  } catch {
    return null;
  }
}

/** Opens the content of a compressed file; takes over the descriptor. `wake` is called when more can be read. */
export function openCompressed(fs: Fs, fd: number, codec: Codec, size: number, wake: () => void): Source {
  const whole = decompressWhole(fs, fd, codec, size);
  if (whole === null) return new StreamSource(fs, fd, codec, wake);
  fs.close(fd);
  return new BufferSource(whole);
}

class BufferSource implements Source {
  readonly closed = true;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    return this.#bytes.copy(
      target,
      offset,
      Math.min(position, this.#bytes.length),
      Math.min(position + length, this.#bytes.length),
    );
  }

  size(): number {
    return this.#bytes.length;
  }

  close(): void {}
}

/** Decompresses ahead of the position by at most a window; what lies before the last position asked for is dropped. */
class StreamSource implements Source {
  closed = true;
  readonly #fs: Fs;
  readonly #fd: number;
  readonly #stream: ReturnType<typeof createGunzip>;
  readonly #wake: () => void;
  #parts: Buffer[] = [];
  /** Position of the first kept byte. */
  #from = 0;
  #kept = 0;
  #wanted = 0;
  #target = windowBytes;
  #input = 0;
  #ended = false;
  #feeding = false;
  #open = true;

  constructor(fs: Fs, fd: number, codec: Codec, wake: () => void) {
    this.#fs = fs;
    this.#fd = fd;
    this.#wake = wake;
    this.#stream = codec === "gzip" ? createGunzip() : createZstdDecompress();
    this.#stream.on("data", (part: Buffer) => this.#keep(part));
    this.#stream.on("end", () => this.#end(true));
    // Cut short: it is still being written, or never was completed.
    this.#stream.on("error", () => this.#end(false));
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#wanted = position;
    this.#target = Math.max(windowBytes, 2 * length);
    this.#drop(position);
    let copied = 0;
    let at = this.#from;
    for (const part of this.#parts) {
      const start = Math.max(0, position + copied - at);
      if (start < part.length && copied < length)
        copied += part.copy(target, offset + copied, start, Math.min(part.length, start + length - copied));
      at += part.length;
      if (copied >= length) break;
    }
    if (!this.#ended && this.#kept < this.#target) this.#feed();
    // A short answer means "the end": what is there is handed out only with the end or in full.
    return copied === length || this.#ended ? copied : -1;
  }

  size(): number {
    return this.#from + this.#kept;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#stream.destroy();
    this.#fs.close(this.#fd);
  }

  #feed(): void {
    if (this.#feeding || !this.#open) return;
    this.#feeding = true;
    const bytes = readFully(this.#fs, this.#fd, this.#input, 65_536);
    this.#input += bytes.length;
    if (bytes.length === 0) this.#stream.end();
    else
      this.#stream.write(bytes, () => {
        this.#feeding = false;
        if (!this.#open) return;
        if (this.#kept >= this.#target) this.#wake();
        else this.#feed();
      });
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#kept += part.length;
    this.#drop(this.#wanted);
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

  #end(complete: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.closed = complete;
    if (this.#open) this.#wake();
  }
}
