/**
 * The codecs of record batches: https://kafka.apache.org/documentation/#recordbatch (attributes, bits 0–2). gzip and
 * zstd are the runtime's, snappy and lz4 are ours, since both are small and must be synchronous.
 */
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib";
import { messageOf } from "../../errors.ts";
import type { Allocate } from "./allocate.ts";
import { type Coder, type CoderKind, compressedBound, makeCoder } from "./coder.ts";
import { compressLz4, decompressLz4 } from "./lz4-frame.ts";
import { gzipSizeHint, zstdSizeHint } from "./size-hint.ts";
import { compressSnappy, decompressSnappy } from "./snappy.ts";
import { zstdFramesFault } from "./zstd-frames.ts";

export type Codec = "none" | "gzip" | "snappy" | "lz4" | "zstd";

/** Index: the codec's number in the attributes of a record batch. */
export const codecs: readonly Codec[] = ["none", "gzip", "snappy", "lz4", "zstd"];

/** The number in bits 0–2 of a batch's attributes. */
export function codecId(codec: Codec): number {
  return codecs.indexOf(codec);
}

/** Compressed bytes that do not decode, or that would decode to more than the limit. */
export class CompressionError extends Error {
  override readonly name = "CompressionError";
}

const defaultLevels = { gzip: 1, zstd: 3 };

/** Compresses the records of a batch into what `allocate` gives. `level` counts for gzip (1–9) and zstd (1–22) only. */
export function compress(
  codec: Codec,
  data: Uint8Array,
  level?: number,
  allocate: Allocate = Buffer.allocUnsafe,
): Uint8Array {
  switch (codec) {
    case "none":
      return data;
    case "gzip":
      return run(gzip(level ?? defaultLevels.gzip), data, compressedBound(data.length), allocate);
    case "snappy":
      return compressSnappy(data, allocate);
    case "lz4":
      return compressLz4(data, allocate);
    case "zstd":
      return run(zstd(level ?? defaultLevels.zstd), data, compressedBound(data.length), allocate);
  }
}

/**
 * Decompresses the records of a batch (for "none" they are `data` itself) into what `allocate` gives. Throws
 * CompressionError on damage and when the result would be above `limit` bytes.
 */
export function decompress(
  codec: Codec,
  data: Uint8Array,
  limit: number,
  allocate: Allocate = Buffer.allocUnsafe,
): Uint8Array {
  try {
    const result = decode(codec, data, limit, allocate);
    if (result.length > limit) {
      throw new CompressionError(`the result is longer than ${limit} bytes`);
    }
    return result;
  } catch (error) {
    throw new CompressionError(`decompressing ${data.length} bytes of ${codec}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function decode(codec: Codec, data: Uint8Array, limit: number, allocate: Allocate): Uint8Array {
  switch (codec) {
    case "none":
      return data;
    case "gzip":
      return run(gunzip, data, gzipSizeHint(data, limit), allocate, limit);
    case "snappy":
      return decompressSnappy(data, limit, allocate);
    case "lz4":
      return decompressLz4(data, limit, allocate);
    case "zstd": {
      const fault = zstdFramesFault(data);
      if (fault !== null) throw new CompressionError(fault);
      return run(unzstd, data, zstdSizeHint(data, limit), allocate, limit);
    }
  }
}

const { Z_FINISH, ZSTD_e_end, ZSTD_e_continue, ZSTD_c_compressionLevel } = constants;

const gzip = (level: number): CoderKind => ({
  name: `gzip ${level}`,
  open: () => createGzip({ level }),
  flush: Z_FINISH,
  resets: true,
});

const zstd = (level: number): CoderKind => ({
  name: `zstd ${level}`,
  open: () => createZstdCompress({ params: { [ZSTD_c_compressionLevel]: level } }),
  flush: ZSTD_e_end,
  resets: false,
});

const gunzip: CoderKind = { name: "gunzip", open: () => createGunzip(), flush: Z_FINISH, resets: true };

const unzstd: CoderKind = {
  name: "unzstd",
  open: () => createZstdDecompress(),
  flush: ZSTD_e_continue,
  resets: false,
};

/** By name; a process uses one or two. */
const coders = new Map<string, Coder>();

function run(
  kind: CoderKind,
  data: Uint8Array,
  hint: number,
  allocate: Allocate,
  limit = Number.MAX_SAFE_INTEGER,
): Buffer {
  const coder = coders.get(kind.name) ?? makeCoder(kind);
  coders.delete(kind.name); // one that threw may be in the middle of something
  const result = coder.run(data, hint, limit, allocate);
  coders.set(kind.name, coder);
  return result;
}
