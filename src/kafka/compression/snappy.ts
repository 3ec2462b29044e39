/**
 * Snappy as Kafka uses it. Java writes (and we write) the framing of xerial's snappy-java: a 16-byte header, then blocks
 * with an int32 length; librdkafka writes one bare block. Both are read.
 * https://github.com/google/snappy/blob/main/format_description.txt
 */
import type { Allocate } from "./allocate.ts";
import { copyMatch, endOfMatch } from "./lz4-block.ts";

const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const headerBytes = 16;
/** Matches reach at most this far, so a block of this size needs no window. */
const blockBytes = 65536;
const hashBits = 14;
const table = new Int32Array(1 << hashBits);

/** The whole of `data` in xerial's framing, in what `allocate` gives. */
export function compressSnappy(data: Uint8Array, allocate: Allocate = Buffer.allocUnsafe): Uint8Array {
  const blocks = Math.max(1, Math.ceil(data.length / blockBytes));
  const out = allocate(headerBytes + data.length + Math.ceil(data.length / 6) + blocks * 36);
  magic.copy(out, 0);
  out.writeInt32BE(1, 8);
  out.writeInt32BE(1, 12);
  let at = headerBytes;
  for (let from = 0; from < data.length; from += blockBytes) {
    const end = compressBlock(data, from, Math.min(from + blockBytes, data.length), out, at + 4);
    out.writeInt32BE(end - at - 4, at);
    at = end;
  }
  return out.subarray(0, at);
}

/** Decodes either form into what `allocate` gives. Throws on damage and above `limit` bytes of result. */
export function decompressSnappy(data: Uint8Array, limit: number, allocate: Allocate = Buffer.allocUnsafe): Uint8Array {
  const input = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (input.length < headerBytes || magic.compare(input, 0, magic.length) !== 0) {
    const size = sizeOf(input, 0, input.length, limit);
    const out = allocate(size.length);
    decompressBlock(input, size.body, input.length, out, 0, size.length);
    return out;
  }
  let total = 0;
  forEachBlock(input, (from, to) => {
    total += sizeOf(input, from, to, limit - total).length;
  });
  const out = allocate(total);
  let length = 0;
  forEachBlock(input, (from, to) => {
    const size = sizeOf(input, from, to, limit);
    decompressBlock(input, size.body, to, out, length, length + size.length);
    length += size.length;
  });
  return out;
}

function forEachBlock(input: Buffer, visit: (from: number, to: number) => void): void {
  for (let at = headerBytes; at < input.length; ) {
    if (at + 4 > input.length) throw new Error("the stream ends inside a block length");
    const size = input.readInt32BE(at);
    at += 4;
    if (size < 0 || size > input.length - at) throw new Error(`a block of ${size} bytes does not fit the stream`);
    visit(at, at + size);
    at += size;
  }
}

/** The block's uncompressed length, and where its elements begin. */
function sizeOf(input: Uint8Array, from: number, to: number, limit: number): { length: number; body: number } {
  let length = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    if (at >= to || shift > 28) throw new Error("a block's length is damaged");
    const byte = input[at++] as number;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (length > limit) throw new Error(`the result is longer than ${limit} bytes`);
  // Three bytes stand for at most 64, so a larger claim is damage and worth no memory.
  if (length > (to - at) * 32) throw new Error(`a block of ${to - at} bytes claims ${length} bytes`);
  return { length, body: at };
}

function decompressBlock(
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  start: number,
  end: number,
): void {
  let at = from;
  let position = start;
  while (at < to) {
    const tag = input[at++] as number;
    let length: number;
    let distance: number;
    switch (tag & 3) {
      case 0: {
        length = (tag >> 2) + 1;
        if (length > 60) {
          const bytes = length - 60;
          if (bytes > to - at) throw new Error("a block ends inside a length");
          length = 0;
          for (let i = 0; i < bytes; i++) length |= (input[at++] as number) << (8 * i);
          length = (length + 1) | 0;
          if (length <= 0) throw new Error("a literal's length is damaged");
        }
        if (length > to - at) throw new Error("a block ends inside a literal");
        if (length > end - position) throw new Error("a block is longer than it says");
        if (length > 32) {
          out.set(input.subarray(at, at + length), position);
          at += length;
          position += length;
        } else {
          for (const stop = at + length; at < stop; ) out[position++] = input[at++] as number;
        }
        continue;
      }
      case 1:
        if (at >= to) throw new Error("a block ends inside a copy");
        length = ((tag >> 2) & 7) + 4;
        distance = ((tag >> 5) << 8) | (input[at++] as number);
        break;
      case 2:
        if (to - at < 2) throw new Error("a block ends inside a copy");
        length = (tag >> 2) + 1;
        distance = (input[at] as number) | ((input[at + 1] as number) << 8);
        at += 2;
        break;
      default:
        if (to - at < 4) throw new Error("a block ends inside a copy");
        length = (tag >> 2) + 1;
        distance =
          (input[at] as number) |
          ((input[at + 1] as number) << 8) |
          ((input[at + 2] as number) << 16) |
          ((input[at + 3] as number) << 24);
        at += 4;
    }
    if (distance <= 0 || distance > position - start) throw new Error(`a copy points ${distance} bytes back`);
    if (length > end - position) throw new Error("a block is longer than it says");
    position = copyMatch(out, position, distance, length);
  }
  if (position !== end) throw new Error(`a block holds ${position - start} of ${end - start} bytes`);
}

/** One bare block of `input[from, to)`, at most 64 KiB, to `out`; returns the position behind it. */
function compressBlock(input: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  let at = start;
  let rest = to - from;
  for (; rest >= 0x80; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
  out[at++] = rest;
  table.fill(-1);
  let anchor = from;
  let position = from;
  let misses = 0;
  while (position <= to - 4) {
    const word = view.getInt32(position, true);
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - hashBits);
    const candidate = table[slot] as number;
    table[slot] = position;
    if (candidate < 0 || view.getInt32(candidate, true) !== word) {
      position += 1 + (misses++ >> 5);
      continue;
    }
    misses = 0;
    const end = endOfMatch(input, view, position + 4, candidate + 4, to);
    if (position > anchor) at = writeLiteral(input, anchor, position, out, at);
    at = writeCopy(out, at, position - candidate, end - position);
    anchor = end;
    position = end;
    if (end <= to - 3) {
      table[Math.imul(view.getInt32(end - 1, true), 0x1e35a7bd) >>> (32 - hashBits)] = end - 1;
    }
  }
  return anchor < to ? writeLiteral(input, anchor, to, out, at) : at;
}

function writeLiteral(input: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  const length = to - from - 1;
  let at = start;
  if (length < 60) {
    out[at++] = length << 2;
  } else if (length < 256) {
    out[at++] = 60 << 2;
    out[at++] = length;
  } else {
    out[at++] = 61 << 2;
    out[at++] = length & 0xff;
    out[at++] = length >> 8;
  }
  if (length > 48) {
    out.set(input.subarray(from, to), at);
    return at + to - from;
  }
  for (let i = from; i < to; i++) out[at++] = input[i] as number;
  return at;
}

function writeCopy(out: Uint8Array, start: number, distance: number, length: number): number {
  let at = start;
  let rest = length;
  // A rest of 1 to 3 bytes has no short form: keep at least 4 for the last copy.
  while (rest > 64) {
    const part = rest < 68 ? 60 : 64;
    out[at++] = ((part - 1) << 2) | 2;
    out[at++] = distance & 0xff;
    out[at++] = distance >> 8;
    rest -= part;
  }
  if (rest < 12 && distance < 2048) {
    out[at++] = ((distance >> 8) << 5) | ((rest - 4) << 2) | 1;
    out[at++] = distance & 0xff;
  } else {
    out[at++] = ((rest - 1) << 2) | 2;
    out[at++] = distance & 0xff;
    out[at++] = distance >> 8;
  }
  return at;
}
