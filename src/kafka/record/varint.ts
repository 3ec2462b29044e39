/** Zigzag base-128 varints of the record format: https://kafka.apache.org/protocol.html#protocol_types */
import type { Int64 } from "./int64.ts";

/** Bytes of the varint of a non-negative number below 2^31. */
export function varintSize(n: number): number {
  return n < 64 ? 1 : n < 8192 ? 2 : n < 1_048_576 ? 3 : n < 134_217_728 ? 4 : 5;
}

/** Writes a non-negative number below 2^31; returns the position behind it. */
export function writeVarint(buffer: Uint8Array, at: number, n: number): number {
  let rest = n * 2;
  let p = at;
  while (rest > 127) {
    buffer[p++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  buffer[p++] = rest;
  return p;
}

/** Bytes of the varlong of an int64. */
export function varlongSize(n: Int64): number {
  if (!isShort(n)) return Math.max(1, Math.ceil(zigzag(n).toString(2).length / 7));
  let rest = n < 0 ? -2 * n - 1 : 2 * n;
  let size = 1;
  for (; rest > 127; size++) rest = Math.floor(rest / 128);
  return size;
}

/** Writes an int64; returns the position behind it. */
export function writeVarlong(buffer: Uint8Array, at: number, n: Int64): number {
  if (!isShort(n)) return writeWide(buffer, at, zigzag(n));
  let rest = n < 0 ? -2 * n - 1 : 2 * n;
  let p = at;
  while (rest > 127) {
    buffer[p++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[p++] = rest;
  return p;
}

/** The zigzag form is exact as a number. */
function isShort(n: Int64): n is number {
  return typeof n === "number" && n < 2 ** 52 && n > -(2 ** 52);
}

function zigzag(n: Int64): bigint {
  const wide = BigInt(n);
  return BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
}

function writeWide(buffer: Uint8Array, at: number, n: bigint): number {
  let rest = n;
  let p = at;
  for (; rest > 127n; rest >>= 7n) buffer[p++] = Number(rest & 127n) | 128;
  buffer[p++] = Number(rest);
  return p;
}

/** The int64 of the varlong at `at`, of ten bytes at most. */
export function readWideVarlong(bytes: Uint8Array, at: number): bigint {
  let large = 0n;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i] ?? 0;
    large |= BigInt(byte & 0x7f) << BigInt(i * 7);
    if (byte < 0x80) break;
  }
  return BigInt.asIntN(64, (large >> 1n) ^ -(large & 1n));
}
