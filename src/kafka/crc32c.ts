/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of record batches v2, by slicing-by-8. */
const polynomial = 0x82f63b78;

/** Eight tables of 256, one after the other. */
const tables = makeTables();

/** Unsigned CRC-32C of `data[from, to)`; `seed` is the CRC of the bytes before, for data in pieces. */
export function crc32c(data: Uint8Array, from = 0, to = data.length, seed = 0): number {
  const t = tables;
  let crc = ~seed;
  let at = from;
  for (const last = to - 7; at < last; at += 8) {
    const low =
      crc ^
      ((data[at] as number) |
        ((data[at + 1] as number) << 8) |
        ((data[at + 2] as number) << 16) |
        ((data[at + 3] as number) << 24));
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (data[at + 4] as number)] as number) ^
      (t[512 + (data[at + 5] as number)] as number) ^
      (t[256 + (data[at + 6] as number)] as number) ^
      (t[data[at + 7] as number] as number);
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t[(crc ^ (data[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const result = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    result[byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let slice = 1; slice < 8; slice++) {
      const crc = result[(slice - 1) * 256 + byte] as number;
      result[slice * 256 + byte] = (crc >>> 8) ^ (result[crc & 0xff] as number);
    }
  }
  return result;
}
