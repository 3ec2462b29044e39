/**
 * The records of one batch, located in columns instead of objects: nothing is copied, and nothing is allocated for a
 * record. https://kafka.apache.org/documentation/#record
 */
import { Scratch } from "./buffer-pool.ts";
import { type BatchHeader, batchHeaderBytes } from "./decode-batch.ts";
import { DecodeError, type Source } from "./decode-error.ts";
import type { Int64 } from "./int64.ts";
import { readWideVarlong } from "./varint.ts";

/** Length and attributes, time and offset delta, key and value length, number of headers: a byte each. */
const minRecordBytes = 7;
const exactTo = Number.MAX_SAFE_INTEGER;

export interface RecordHeader {
  /** A view; Kafka's rule is UTF-8. */
  name: Buffer;
  value: Buffer | null;
}

/**
 * Columns of the records of one batch; valid until the next one is decoded into it. Starts are positions in `bytes`;
 * a length of -1 is null.
 */
export class RecordBlock {
  topic = "";
  partition = 0;
  leaderEpoch = -1;
  /** What the positions point into: the fetched bytes or, of a compressed batch, its decompressed records. */
  bytes: Buffer = Buffer.alloc(0);
  count = 0;
  offsets = new Float64Array(0);
  /** Milliseconds since the epoch; -1 is none. */
  timestamps = new Float64Array(0);
  /** The exact ones where numbers are not; null where they are. */
  wideTimestamps: bigint[] | null = null;
  keyStarts = new Int32Array(0);
  keyLengths = new Int32Array(0);
  valueStarts = new Int32Array(0);
  valueLengths = new Int32Array(0);
  headerCounts = new Int32Array(0);
  headerStarts = new Int32Array(0);
  recordEnds = new Int32Array(0);
  /** For decompressed records, the same for every batch that fills this block. */
  readonly scratch = new Scratch();

  /** Milliseconds since the epoch, without loss. */
  timestamp(i: number): Int64 {
    return this.wideTimestamps?.[i] ?? (this.timestamps[i] as number);
  }

  key(i: number): Buffer | null {
    return view(this.bytes, this.keyStarts[i] as number, this.keyLengths[i] as number);
  }

  value(i: number): Buffer | null {
    return view(this.bytes, this.valueStarts[i] as number, this.valueLengths[i] as number);
  }

  /** Throws DecodeError when they are damaged: headers are read only when asked for. */
  headers(i: number): RecordHeader[] {
    const count = this.headerCounts[i] as number;
    if (count === 0) return [];
    const headers: RecordHeader[] = [];
    const { bytes } = this;
    const end = this.recordEnds[i] as number;
    cursor = this.headerStarts[i] as number;
    for (let left = count; left > 0; left--) {
      const nameLength = varint(bytes);
      const nameStart = cursor;
      cursor += nameLength;
      if (nameLength < 0 || cursor > end) this.damaged(i, "a header's name does not fit the record");
      const valueLength = varint(bytes);
      const valueStart = cursor;
      if (valueLength > 0) cursor += valueLength;
      if (valueLength < -1 || cursor > end) this.damaged(i, "a header's value does not fit the record");
      headers.push({
        name: bytes.subarray(nameStart, nameStart + nameLength),
        value: view(bytes, valueStart, valueLength),
      });
    }
    if (cursor !== end) this.damaged(i, `${end - cursor} bytes follow its last header`);
    return headers;
  }

  private damaged(i: number, reason: string): never {
    throw new DecodeError(this, this.offsets[i] as number, `the record is damaged: ${reason}`);
  }

  /** Makes room for `count` records. */
  reserve(count: number): void {
    if (count <= this.offsets.length) return;
    const size = Math.max(count, this.offsets.length * 2, 256);
    this.offsets = new Float64Array(size);
    this.timestamps = new Float64Array(size);
    this.keyStarts = new Int32Array(size);
    this.keyLengths = new Int32Array(size);
    this.valueStarts = new Int32Array(size);
    this.valueLengths = new Int32Array(size);
    this.headerCounts = new Int32Array(size);
    this.headerStarts = new Int32Array(size);
    this.recordEnds = new Int32Array(size);
  }
}

/**
 * Locates the records of `batch` with offsets in [from, to) into `block`. `bytes[start, end)` are the records, already
 * decompressed. Throws DecodeError on anything that does not fit.
 */
export function locateRecords(
  block: RecordBlock,
  batch: BatchHeader,
  bytes: Buffer,
  start: number,
  end: number,
  source: Source,
  from: number,
  to: number,
): void {
  const { baseOffset, baseTimestamp, count } = batch;
  if (count < 0 || count > (end - start) / minRecordBytes) {
    throw new DecodeError(source, baseOffset, `the batch claims ${count} records in ${end - start} bytes`);
  }
  block.topic = source.topic;
  block.partition = source.partition;
  block.leaderEpoch = batch.leaderEpoch;
  block.bytes = bytes;
  block.reserve(count);
  const { wideTimes } = batch;
  let wideTimestamps: bigint[] | null = null;
  // Deltas below it leave numbers exact.
  const nearest = batch.logAppendTime ? (wideTimes ? -1 : Number.POSITIVE_INFINITY) : exactTo - Math.abs(baseTimestamp);
  const {
    offsets,
    timestamps,
    keyStarts,
    keyLengths,
    valueStarts,
    valueLengths,
    headerCounts,
    headerStarts,
    recordEnds,
  } = block;
  let kept = 0;
  let at = start;
  for (let i = 0; i < count; i++) {
    cursor = at;
    const length = varint(bytes);
    const recordEnd = cursor + length;
    if (length < minRecordBytes - 1 || recordEnd > end) damaged(source, batch, i, `its length is ${length}`);
    cursor++; // attributes: none are defined
    const deltaAt = cursor;
    const timeDelta = varlong(bytes);
    const offset = baseOffset + varint(bytes);
    const keyLength = varint(bytes);
    const keyStart = cursor;
    if (keyLength > 0) cursor += keyLength;
    if (keyLength < -1 || cursor >= recordEnd) damaged(source, batch, i, `its key's length is ${keyLength}`);
    const valueLength = varint(bytes);
    const valueStart = cursor;
    if (valueLength > 0) cursor += valueLength;
    if (valueLength < -1 || cursor >= recordEnd) damaged(source, batch, i, `its value's length is ${valueLength}`);
    const headers = varint(bytes);
    // A header has at least a byte for each of its two lengths.
    if (headers < 0 || headers * 2 > recordEnd - cursor || (headers === 0 && cursor !== recordEnd)) {
      damaged(source, batch, i, `it claims ${headers} headers in ${recordEnd - cursor} bytes`);
    }
    at = recordEnd;
    if (offset < from || offset >= to) continue;
    offsets[kept] = offset;
    timestamps[kept] = batch.logAppendTime ? batch.maxTimestamp : baseTimestamp + timeDelta;
    if (timeDelta > nearest || timeDelta < -nearest) {
      wideTimestamps ??= [];
      wideTimestamps[kept] = wideTime(bytes, deltaAt, batch);
    }
    keyStarts[kept] = keyStart;
    keyLengths[kept] = keyLength;
    valueStarts[kept] = valueStart;
    valueLengths[kept] = valueLength;
    headerCounts[kept] = headers;
    headerStarts[kept] = cursor;
    recordEnds[kept] = recordEnd;
    kept++;
  }
  if (at !== end) throw new DecodeError(source, baseOffset, `${end - at} bytes follow the batch's ${count} records`);
  block.count = kept;
  block.wideTimestamps = wideTimestamps;
}

function wideTime(bytes: Buffer, deltaAt: number, { wideTimes, logAppendTime, ...batch }: BatchHeader): bigint {
  if (logAppendTime) return wideTimes?.max ?? BigInt(batch.maxTimestamp);
  return BigInt.asIntN(64, (wideTimes?.base ?? BigInt(batch.baseTimestamp)) + readWideVarlong(bytes, deltaAt));
}

/** The type of a control record: its key is a version and a type, 0 abort and 1 commit. */
export function controlType(bytes: Buffer, batch: BatchHeader): number {
  cursor = batch.start + batchHeaderBytes;
  varint(bytes);
  cursor++;
  varlong(bytes);
  varint(bytes);
  return varint(bytes) >= 4 && cursor + 4 <= batch.end ? bytes.readInt16BE(cursor + 2) : -1;
}

function damaged(source: Source, batch: BatchHeader, i: number, reason: string): never {
  throw new DecodeError(source, batch.baseOffset, `record ${i} of ${batch.count} is damaged: ${reason}`);
}

function view(bytes: Buffer, start: number, length: number): Buffer | null {
  return length < 0 ? null : bytes.subarray(start, start + length);
}

/** Where `varint` and `varlong` read, and behind what they read afterwards. A module variable keeps them inlinable. */
let cursor = 0;

/** A zigzag varint of 32 bits. One that is longer or cut off gives a length that no caller accepts. */
function varint(bytes: Buffer): number {
  let byte = bytes[cursor++] as number;
  if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
  let value = byte & 0x7f;
  for (let shift = 7; shift < 35; shift += 7) {
    byte = bytes[cursor++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
  }
  return Number.MIN_SAFE_INTEGER;
}

/** A zigzag varint of 64 bits, as a number. */
function varlong(bytes: Buffer): number {
  const start = cursor;
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[cursor++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
  }
  cursor = start;
  let large = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[cursor++] ?? 0;
    large |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return Number(BigInt.asIntN(64, (large >> 1n) ^ -(large & 1n)));
  }
  return 0;
}
