/** LZ4 blocks: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md */
const minMatch = 4;
/** The last match starts at least 12 bytes before the end, and the last 5 bytes are literals. */
const endOfMatches = 12;
const lastLiterals = 5;
const maxDistance = 65535;
const hashBits = 14;
const table = new Int32Array(1 << hashBits);

/** The most bytes `compressBlock` writes for `size` bytes. */
export function compressBound(size: number): number {
  return size + Math.ceil(size / 255) + 16;
}

/** Compresses `input[from, to)` to `out` from `start` on; returns the number of bytes written. */
export function compressBlock(input: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  table.fill(-1);
  let at = start;
  let anchor = from;
  let position = from;
  const matchEnd = to - lastLiterals;
  let misses = 0;
  while (position <= to - endOfMatches - 1) {
    const word = view.getInt32(position, true);
    const slot = Math.imul(word, -1640531535) >>> (32 - hashBits);
    const candidate = table[slot] as number;
    table[slot] = position;
    if (candidate < 0 || position - candidate > maxDistance || view.getInt32(candidate, true) !== word) {
      // The stride grows where nothing matches, so that incompressible data passes quickly.
      position += 1 + (misses++ >> 6);
      continue;
    }
    misses = 0;
    let match = candidate;
    while (position > anchor && match > from && input[position - 1] === input[match - 1]) {
      position--;
      match--;
    }
    const end = endOfMatch(input, view, position + minMatch, match + minMatch, matchEnd);
    at = writeSequence(input, anchor, position, out, at, position - match, end - position - minMatch);
    anchor = end;
    position = end;
    if (end <= to - endOfMatches) {
      table[Math.imul(view.getInt32(end - 2, true), -1640531535) >>> (32 - hashBits)] = end - 2;
    }
  }
  return writeSequence(input, anchor, to, out, at, 0, 0) - start;
}

/** How far the bytes from `end` on equal those from `other` on, at most up to `limit`; `view` is `input`'s. */
export function endOfMatch(input: Uint8Array, view: DataView, end: number, other: number, limit: number): number {
  const back = end - other;
  let at = end;
  for (; at <= limit - 4; at += 4) {
    const differing = view.getInt32(at, true) ^ view.getInt32(at - back, true);
    // The lowest bit that differs says which byte.
    if (differing !== 0) return at + ((31 - Math.clz32(differing & -differing)) >> 3);
  }
  while (at < limit && input[at] === input[at - back]) at++;
  return at;
}

/** Literals `input[from, to)`, then the match unless `distance` is 0 (the last sequence). */
function writeSequence(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  distance: number,
  matchLength: number,
): number {
  const literals = to - from;
  let at = start + 1;
  out[start] = (Math.min(literals, 15) << 4) | Math.min(matchLength, 15);
  if (literals >= 15) at = writeLength(out, at, literals - 15);
  if (literals > 48) {
    out.set(input.subarray(from, to), at);
    at += literals;
  } else {
    for (let i = from; i < to; i++) out[at++] = input[i] as number;
  }
  if (distance === 0) return at;
  out[at++] = distance & 0xff;
  out[at++] = distance >> 8;
  return matchLength >= 15 ? writeLength(out, at, matchLength - 15) : at;
}

function writeLength(out: Uint8Array, start: number, length: number): number {
  let at = start;
  let rest = length;
  for (; rest >= 255; rest -= 255) out[at++] = 255;
  out[at++] = rest;
  return at;
}

/**
 * Decodes `input[from, to)` to `out` from `start` on, never writing at or behind `end` nor reading before `floor`;
 * returns the position behind the last byte written. Throws on damage and where the result does not fit.
 */
export function decompressBlock(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  end: number,
  floor: number,
): number {
  let at = from;
  let position = start;
  while (at < to) {
    const token = input[at++] as number;
    let literals = token >> 4;
    if (literals === 15) {
      let byte: number;
      do {
        if (at >= to) throw new Error("a block ends inside a length");
        byte = input[at++] as number;
        literals += byte;
      } while (byte === 255);
    }
    if (literals > to - at) throw new Error("a block ends inside literals");
    if (literals > end - position) throw new Error(`a block's result is longer than ${end - start} bytes`);
    if (literals > 32) {
      out.set(input.subarray(at, at + literals), position);
      at += literals;
      position += literals;
    } else {
      for (const stop = at + literals; at < stop; ) out[position++] = input[at++] as number;
    }
    if (at === to) return position;
    if (to - at < 2) throw new Error("a block ends inside a match");
    const distance = (input[at] as number) | ((input[at + 1] as number) << 8);
    at += 2;
    if (distance === 0 || distance > position - floor) throw new Error(`a match points ${distance} bytes back`);
    let length = token & 15;
    if (length === 15) {
      let byte: number;
      do {
        if (at >= to) throw new Error("a block ends inside a length");
        byte = input[at++] as number;
        length += byte;
      } while (byte === 255);
    }
    length += minMatch;
    if (length > end - position) throw new Error(`a block's result is longer than ${end - start} bytes`);
    position = copyMatch(out, position, distance, length);
  }
  throw new Error("a block ends without its last literals");
}

/** Up to so many bytes a loop is faster than a call of a built-in. */
const few = 8;

/** Repeats `length` bytes from `distance` bytes before `position`; both may overlap. Returns the new position. */
export function copyMatch(out: Uint8Array, position: number, distance: number, length: number): number {
  if (length > few && distance >= length) {
    out.copyWithin(position, position - distance, position - distance + length);
    return position + length;
  }
  if (length > few && distance === 1) {
    out.fill(out[position - 1] as number, position, position + length);
    return position + length;
  }
  let to = position;
  let source = position - distance;
  for (const stop = position + length; to < stop; ) out[to++] = out[source++] as number;
  return to;
}
