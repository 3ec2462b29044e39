/**
 * The codecs of record batches: https://kafka.apache.org/documentation/#recordbatch (attributes, bits 0–2). gzip and
 * zstd are the runtime's, snappy and lz4 are ours, since both are small and must be synchronous.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Allocate } from "./buffer-pool.ts";
import { gzipSizeHint, zstdSizeHint } from "./decompressed-size.ts";
import { compressLz4, decompressLz4 } from "./lz4.ts";
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

/** Levels a user may ask for; codecs that are not listed have none. */
export const codecLevels: Partial<Record<Codec, { min: number; max: number; default: number }>> = {
  gzip: { min: 1, max: 9, default: 1 },
  zstd: { min: 1, max: 22, default: 3 },
};

/**
 * Compresses the records of a batch; snappy and lz4 into what `allocate` gives. `level` counts for gzip (1–9) and zstd
 * (1–22) only.
 */
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
      return gzipSync(data, { level: level ?? codecLevels.gzip?.default });
    case "snappy":
      return compressSnappy(data, allocate);
    case "lz4":
      return compressLz4(data, allocate);
    case "zstd":
      return zstdCompressSync(data, {
        params: {
          [constants.ZSTD_c_compressionLevel]: level ?? codecLevels.zstd?.default ?? 3,
        },
      });
  }
}

/**
 * Decompresses the records of a batch (for "none" they are `data` itself); snappy and lz4 into what `allocate` gives, a
 * buffer of exactly so many bytes. Throws CompressionError on damage and when the result would be above `limit` bytes.
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new CompressionError(`decompressing ${data.length} bytes of ${codec}: ${reason}`, {
      cause: error,
    });
  }
}

function decode(codec: Codec, data: Uint8Array, limit: number, allocate: Allocate): Uint8Array {
  switch (codec) {
    case "none":
      return data;
    case "gzip":
      return gunzipSync(data, { maxOutputLength: limit, chunkSize: gzipSizeHint(data, limit) });
    case "snappy":
      return decompressSnappy(data, limit, allocate);
    case "lz4":
      return decompressLz4(data, limit, allocate);
    case "zstd": {
      const fault = zstdFramesFault(data);
      if (fault !== null) throw new CompressionError(fault);
      return zstdDecompressSync(data, { maxOutputLength: limit, chunkSize: zstdSizeHint(data, limit) });
    }
  }
}
