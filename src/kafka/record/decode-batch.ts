/**
 * The header of a record batch, format v2 (magic 2), and its checksum:
 * https://kafka.apache.org/documentation/#recordbatch. Formats v0 and v1 are refused: brokers since 0.11 write v2, and
 * Kafka 4 can no longer hold anything else.
 */
import { type Codec, codecs } from "../compression/codec.ts";
import { crc32c } from "./crc32c.ts";
import { DecodeError, type Source } from "./decode-error.ts";

/** Bytes before the first record. */
export const batchHeaderBytes = 61;
/** What is in front of the length field and the field itself. */
const lengthOverhead = 12;
const magicAt = 16;
const crcFrom = 21;

export interface BatchHeader {
  /** The batch is `bytes[start, end)`. */
  start: number;
  end: number;
  /** Offsets are numbers: they are exact up to 2^53. */
  baseOffset: number;
  /** Also counts records that compaction removed. */
  lastOffset: number;
  codec: Codec;
  /** The records' timestamps are all `maxTimestamp` (the broker's time). */
  logAppendTime: boolean;
  transactional: boolean;
  control: boolean;
  baseTimestamp: number;
  maxTimestamp: number;
  /** The exact times where numbers are not; null where they are. */
  wideTimes: { base: bigint; max: bigint } | null;
  producerId: bigint;
  leaderEpoch: number;
  count: number;
}

/**
 * Reads the header of the batch at `start` and checks its checksum; null when the batch is cut off at `end`, as the last
 * one of a fetch may be. `expected` is the offset named in errors while the batch's own is not trusted.
 */
export function readBatch(
  bytes: Buffer,
  start: number,
  end: number,
  source: Source,
  expected: number,
): BatchHeader | null {
  if (end - start <= magicAt) return null;
  const magic = bytes[start + magicAt] as number;
  if (magic !== 2) {
    const known =
      magic < 2 ? "messages before Kafka 0.11, which are not supported" : "unknown, or the bytes are damaged";
    throw new DecodeError(source, expected, `record format ${magic} is ${known}`);
  }
  const length = bytes.readInt32BE(start + 8);
  if (length < batchHeaderBytes - lengthOverhead) {
    throw new DecodeError(source, expected, `a batch must have at least 49 bytes; its header says ${length}`);
  }
  const batchEnd = start + lengthOverhead + length;
  if (batchEnd > end) return null;
  const crc = bytes.readUInt32BE(start + 17);
  const actual = crc32c(bytes, start + crcFrom, batchEnd);
  if (crc !== actual) {
    throw new DecodeError(source, expected, `the batch's checksum is ${hex(crc)}, its bytes give ${hex(actual)}`);
  }
  const attributes = bytes.readInt16BE(start + 21);
  const baseOffset = readLong(bytes, start);
  const codec = codecs[attributes & 7];
  if (codec === undefined) throw new DecodeError(source, baseOffset, `compression codec ${attributes & 7} is unknown`);
  return {
    start,
    end: batchEnd,
    baseOffset,
    lastOffset: baseOffset + bytes.readInt32BE(start + 23),
    codec,
    logAppendTime: (attributes & 8) !== 0,
    transactional: (attributes & 16) !== 0,
    control: (attributes & 32) !== 0,
    baseTimestamp: readLong(bytes, start + 27),
    maxTimestamp: readLong(bytes, start + 35),
    wideTimes: wideTimes(bytes, start),
    producerId: bytes.readBigInt64BE(start + 43),
    leaderEpoch: bytes.readInt32BE(start + 12),
    count: bytes.readInt32BE(start + 57),
  };
}

/**
 * The offset behind the last whole batch of `bytes`, from the headers alone; `position` when there is none. It lets the
 * next fetch go out before this one is decoded.
 */
export function offsetBehind(bytes: Buffer, position: number): number {
  let next = position;
  for (let at = 0; bytes.length - at >= batchHeaderBytes && bytes[at + magicAt] === 2; ) {
    const length = bytes.readInt32BE(at + 8);
    const end = at + lengthOverhead + length;
    if (length < batchHeaderBytes - lengthOverhead || end > bytes.length) break;
    next = Math.max(next, readLong(bytes, at) + bytes.readInt32BE(at + 23) + 1);
    at = end;
  }
  return next;
}

function wideTimes(bytes: Buffer, start: number): BatchHeader["wideTimes"] {
  const isWide = (at: number) => !Number.isSafeInteger(readLong(bytes, at));
  if (!isWide(start + 27) && !isWide(start + 35)) return null;
  return { base: bytes.readBigInt64BE(start + 27), max: bytes.readBigInt64BE(start + 35) };
}

/** An int64 as a number. */
export function readLong(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
