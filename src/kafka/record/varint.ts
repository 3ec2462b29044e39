/** Zigzag base-128 varints of the record format: https://kafka.apache.org/protocol.html#protocol_types */

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

/** Bytes of the varlong of any safe integer. */
export function varlongSize(n: number): number {
  let rest = n < 0 ? -2 * n - 1 : 2 * n;
  let size = 1;
  for (; rest > 127; size++) rest = Math.floor(rest / 128);
  return size;
}

/** Writes any safe integer; returns the position behind it. */
export function writeVarlong(buffer: Uint8Array, at: number, n: number): number {
  let rest = n < 0 ? -2 * n - 1 : 2 * n;
  let p = at;
  while (rest > 127) {
    buffer[p++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[p++] = rest;
  return p;
}
