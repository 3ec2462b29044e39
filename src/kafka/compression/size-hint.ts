/**
 * How large a compressed batch will be, from what it says of itself: with an output buffer of the right size the runtime's
 * decompressors need no second one to join pieces. A wrong guess costs only that.
 */
import { zstdContentSize } from "./zstd-frames.ts";

/** Bytes; what a damaged header claims costs no more than this. */
const most = 16 << 20;
/** The decompressors want to see room behind the end. */
const spare = 64;

/** RFC 1952: the last four bytes are the size. */
export function gzipSizeHint(data: Uint8Array, limit: number): number {
  const end = data.length - 4;
  if (end < 0) return spare;
  return bounded(new DataView(data.buffer, data.byteOffset + end, 4).getUint32(0, true), limit);
}

/** Streams that were written piece by piece say nothing: logs shrink to about an eighth. */
export function zstdSizeHint(data: Uint8Array, limit: number): number {
  return bounded(zstdContentSize(data) ?? data.length * 8, limit);
}

function bounded(bytes: number, limit: number): number {
  return Math.min(bytes, most, limit) + spare;
}
