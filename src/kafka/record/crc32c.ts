/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of record batches v2, by slicing-by-16: a third faster than
 * slicing-by-8 here, and reading whole words through a DataView costs nothing on any alignment. Long messages are folded
 * to short ones before, which is six times as fast again.
 */
import { Crc32cFold, worthFolding } from "./crc32c-fold.ts";

const polynomial = 0x82f63b78;

/** Sixteen tables of 256, one after the other. */
const tables = makeTables();

/** Made when first needed; null where the runtime cannot. */
let fold: Crc32cFold | null | undefined;

/** Unsigned CRC-32C of `data[from, to)`; `seed` is the CRC of the bytes before, for data in pieces. */
export function crc32c(data: Uint8Array, from = 0, to = data.length, seed = 0): number {
  if (to - from >= worthFolding) {
    if (fold === undefined) fold = makeFold();
    if (fold) {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const end = fold.shorten(bytes, from, to, ~seed);
      return ~update(0, fold.memory, Crc32cFold.start, end) >>> 0;
    }
  }
  return ~update(~seed, data, from, to) >>> 0;
}

function makeFold(): Crc32cFold | null {
  try {
    return new Crc32cFold();
  } catch {
    return null;
  }
}

/** The register (the inverted CRC) behind `data[from, to)`. */
function update(register: number, data: Uint8Array, from: number, to: number): number {
  const t = tables;
  let crc = register;
  let at = from;
  if (to - from >= 64) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    for (const last = to - 15; at < last; at += 16) {
      const a = crc ^ view.getInt32(at, true);
      const b = view.getInt32(at + 4, true);
      const c = view.getInt32(at + 8, true);
      const d = view.getInt32(at + 12, true);
      crc =
        (t[3840 + (a & 0xff)] as number) ^
        (t[3584 + ((a >>> 8) & 0xff)] as number) ^
        (t[3328 + ((a >>> 16) & 0xff)] as number) ^
        (t[3072 + (a >>> 24)] as number) ^
        (t[2816 + (b & 0xff)] as number) ^
        (t[2560 + ((b >>> 8) & 0xff)] as number) ^
        (t[2304 + ((b >>> 16) & 0xff)] as number) ^
        (t[2048 + (b >>> 24)] as number) ^
        (t[1792 + (c & 0xff)] as number) ^
        (t[1536 + ((c >>> 8) & 0xff)] as number) ^
        (t[1280 + ((c >>> 16) & 0xff)] as number) ^
        (t[1024 + (c >>> 24)] as number) ^
        (t[768 + (d & 0xff)] as number) ^
        (t[512 + ((d >>> 8) & 0xff)] as number) ^
        (t[256 + ((d >>> 16) & 0xff)] as number) ^
        (t[d >>> 24] as number);
    }
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t[(crc ^ (data[at] as number)) & 0xff] as number);
  return crc;
}

function makeTables(): Int32Array {
  const result = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    result[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let slice = 1; slice < 16; slice++) {
      const crc = result[(slice - 1) * 256 + byte] as number;
      result[slice * 256 + byte] = (crc >>> 8) ^ (result[crc & 0xff] as number);
    }
  }
  return result;
}
