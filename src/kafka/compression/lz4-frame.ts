/**
 * LZ4 frames as Kafka uses them: independent blocks, no content checksum when writing.
 * https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md, KIP-57, Java's `Lz4BlockOutputStream`.
 */
import type { Allocate } from "./allocate.ts";
import { compressBlock, compressBound, decompressBlock } from "./lz4-block.ts";
import { xxhash32 } from "./xxhash32.ts";

const magic = 0x184d2204;
/** Block size code 5 is 256 KiB: independent blocks of Java's 64 KiB cost about 3 % more bytes on log text. */
const blockCode = 5;
const blockBytes = 1 << (2 * blockCode + 8);
const uncompressed = 0x80000000;

/** One frame with the whole of `data`, in what `allocate` gives. */
export function compressLz4(data: Uint8Array, allocate: Allocate = Buffer.allocUnsafe): Uint8Array {
  const blocks = Math.ceil(data.length / blockBytes);
  const out = allocate(7 + blocks * (4 + compressBound(blockBytes)) + 4);
  out.writeUInt32LE(magic, 0);
  out[4] = 0x60; // version 1, independent blocks
  out[5] = blockCode << 4;
  out[6] = (xxhash32(out, 4, 6) >>> 8) & 0xff;
  let at = 7;
  for (let from = 0; from < data.length; from += blockBytes) {
    const to = Math.min(from + blockBytes, data.length);
    const size = compressBlock(data, from, to, out, at + 4);
    if (size < to - from) {
      out.writeUInt32LE(size, at);
      at += 4 + size;
    } else {
      out.writeUInt32LE((uncompressed | (to - from)) >>> 0, at);
      out.set(data.subarray(from, to), at + 4);
      at += 4 + to - from;
    }
  }
  out.writeUInt32LE(0, at);
  return out.subarray(0, at + 4);
}

interface Frame {
  /** Where the blocks begin. */
  body: number;
  maxBlock: number;
  linked: boolean;
  blockChecksum: boolean;
  contentChecksum: boolean;
  contentSize: number | null;
}

/** Decodes one frame into what `allocate` gives; checks every checksum. Throws on damage and above `limit` bytes of result. */
export function decompressLz4(data: Uint8Array, limit: number, allocate: Allocate = Buffer.allocUnsafe): Uint8Array {
  const input = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const frame = readHeader(input);
  const bound = boundOf(input, frame);
  const out = allocate(Math.min(bound, limit));
  let at = frame.body;
  let length = 0;
  for (;;) {
    const word = readWord(input, at);
    at += 4;
    if (word === 0) break;
    const size = word & ~uncompressed;
    const to = at + size;
    if (word >= uncompressed) {
      if (size > out.length - length) throw new Error(`the result is longer than ${limit} bytes`);
      input.copy(out, length, at, to);
      length += size;
    } else {
      const end = Math.min(length + frame.maxBlock, out.length);
      length = decompressBlock(input, at, to, out, length, end, frame.linked ? 0 : length);
    }
    at = to;
    if (frame.blockChecksum) {
      if (readWord(input, at) !== xxhash32(input, to - size, to)) {
        throw new Error(`the checksum of the block at byte ${to - size} is wrong`);
      }
      at += 4;
    }
  }
  if (frame.contentChecksum && readWord(input, at) !== xxhash32(out, 0, length)) {
    throw new Error("the checksum of the content is wrong");
  }
  if (frame.contentSize !== null && frame.contentSize !== length) {
    throw new Error(`the header says ${frame.contentSize} bytes, the blocks hold ${length}`);
  }
  return out.subarray(0, length);
}

function readHeader(input: Buffer): Frame {
  if (readWord(input, 0) !== magic) throw new Error("this is not an LZ4 frame");
  if (input.length < 7) throw new Error("the frame ends in its header");
  const flags = input[4] as number;
  const descriptor = input[5] as number;
  if (flags >> 6 !== 1) throw new Error(`frame version ${flags >> 6} is unknown`);
  if (flags & 0x01) throw new Error("dictionaries are not supported");
  const code = (descriptor >> 4) & 7;
  if (code < 4) throw new Error(`block size code ${code} is unknown`);
  const sized = (flags & 0x08) !== 0;
  const check = sized ? 14 : 6;
  if (input.length <= check) throw new Error("the frame ends in its header");
  if (((xxhash32(input, 4, check) >>> 8) & 0xff) !== input[check]) {
    throw new Error("the checksum of the frame header is wrong");
  }
  return {
    body: check + 1,
    maxBlock: 1 << (2 * code + 8),
    linked: (flags & 0x20) === 0,
    blockChecksum: (flags & 0x10) !== 0,
    contentChecksum: (flags & 0x04) !== 0,
    contentSize: sized ? Number(input.readBigUInt64LE(6)) : null,
  };
}

/** The most the blocks can decode to; also checks that they lie inside the input. */
function boundOf(input: Buffer, frame: Frame): number {
  let bound = 0;
  let at = frame.body;
  for (;;) {
    const word = readWord(input, at);
    if (word === 0) return bound;
    const size = word & ~uncompressed;
    if (size > frame.maxBlock) throw new Error(`a block of ${size} bytes is above the frame's limit`);
    at += 4 + size + (frame.blockChecksum ? 4 : 0);
    if (at > input.length) throw new Error("the frame ends inside a block");
    // One byte of a match length stands for at most 255 bytes.
    bound += word >= uncompressed ? size : Math.min(frame.maxBlock, size * 255);
  }
}

function readWord(input: Buffer, at: number): number {
  if (at + 4 > input.length) throw new Error("the frame ends before its end mark");
  return input.readUInt32LE(at);
}
