/**
 * One record batch, format v2 (KIP-98), written record by record straight into the buffer it is sent from:
 * https://kafka.apache.org/documentation/#recordbatch
 */

import type { Lines, Range } from "../../lines.ts";
import { type Codec, compress, decompress } from "../compression/codec.ts";
import { BATCH_OVERHEAD, type ProducerStamp, writeBatchHeader } from "../record/batch-header.ts";
import { type BufferPool, Scratch } from "../record/buffer-pool.ts";
import { difference, type Int64 } from "../record/int64.ts";
import type { EncodedRecord } from "../record/record-encoding.ts";
import { varintSize, varlongSize, writeVarint, writeVarlong } from "../record/varint.ts";
import type { Batch, Outcome } from "./sink.ts";

/** Free bytes in front of the batch, for the header of the request that carries it. */
export const HEADROOM = 512;
export type { ProducerStamp } from "../record/batch-header.ts";

/** Where batches are compressed before they move to a buffer of the right size. */
const scratch = new Scratch();

export class RecordBatch implements Batch {
  readonly topic: string;
  partition: number;
  count = 0;
  readonly ranges: Range[] = [];
  /** Records of `ranges[i]` in this batch; a range's records lie side by side. */
  readonly rangeCounts: number[] = [];
  /** Monotonic milliseconds of the first record. */
  readonly openedAt: number;
  /** -1 until the batch is stamped. */
  sequence = -1;
  epoch = -1;
  producerId = -1n;
  /** Monotonic milliseconds of the first try; -1 before. */
  firstSentAt = -1;
  inFlight = false;
  /** A try ended without telling whether the broker has the batch. */
  unresolved = false;
  /** The broker refused its size or content: to be split. */
  refused: Outcome | null = null;
  /** Its records brought their own times; else they are this host's clock. */
  timesGiven = false;
  /** The broker refused this host's clock: to be sent without times. */
  untimed = false;
  /** In a transaction: answered, waiting for the commit. */
  outcome: Outcome | null = null;

  private buffer: Buffer;
  private end = HEADROOM + BATCH_OVERHEAD;
  private readonly pool: BufferPool;
  baseTimestamp: Int64 = 0;
  maxTimestamp: Int64 = 0;
  codec: Codec = "none";

  constructor(topic: string, partition: number, pool: BufferPool, openedAt: number, bytes = 0) {
    this.topic = topic;
    this.partition = partition;
    this.pool = pool;
    this.openedAt = openedAt;
    this.buffer = pool.take(HEADROOM + BATCH_OVERHEAD + bytes);
  }

  get size(): number {
    return this.end - HEADROOM;
  }

  /** Memory held, bytes. */
  get memory(): number {
    return this.buffer.length;
  }

  /** The whole buffer up to the batch's end; the batch begins at HEADROOM. */
  get frame(): Buffer {
    return this.buffer.subarray(0, this.end);
  }

  /**
   * Appends records `[from, to)` with one key, one set of headers and one timestamp while they fit into `limit` bytes (the
   * first record always does). `keyPart` and `headersPart` are encoded. Returns the first index that was not taken.
   */
  appendRun(
    lines: Lines,
    from: number,
    to: number,
    keyPart: Uint8Array,
    headersPart: Uint8Array,
    timestamp: Int64,
    limit: number,
  ): number {
    const { starts, ends } = lines;
    const bytes = lines.bytes as Buffer;
    if (this.count === 0) {
      this.baseTimestamp = timestamp;
      this.maxTimestamp = timestamp;
    } else if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp;
    const delta = difference(timestamp, this.baseTimestamp);
    const fixed = 1 + varlongSize(delta) + keyPart.length + headersPart.length;
    // 5 for the record's length, 5 for its offset delta, 5 for the value's length.
    const worst = fixed + 15;
    const most = (ends[to - 1] as number) - (starts[from] as number) + worst * (to - from);
    this.reserve(Math.min(most, HEADROOM + limit - this.end));
    let buffer = this.buffer;
    let p = this.end;
    let count = this.count;
    let i = from;
    const lastByte = HEADROOM + limit;
    for (; i < to; i++) {
      const start = starts[i] as number;
      const end = ends[i] as number;
      const length = end - start;
      const body = fixed + varintSize(count) + varintSize(length) + length;
      const after = p + varintSize(body) + body;
      if (after > lastByte && count > 0) break;
      if (after > buffer.length) {
        this.end = p;
        this.reserve(after - p);
        buffer = this.buffer;
      }
      p = writeVarint(buffer, p, body);
      buffer[p++] = 0;
      p = delta === 0 ? zero(buffer, p) : writeVarlong(buffer, p, delta);
      p = writeVarint(buffer, p, count);
      if (keyPart.length === 1) buffer[p++] = keyPart[0] as number;
      else {
        buffer.set(keyPart, p);
        p += keyPart.length;
      }
      p = writeVarint(buffer, p, length);
      if (length > 0) copyBytes(bytes, buffer, p, start, end);
      p += length;
      if (headersPart.length === 1) buffer[p++] = headersPart[0] as number;
      else {
        buffer.set(headersPart, p);
        p += headersPart.length;
      }
      count++;
    }
    this.end = p;
    this.count = count;
    return i;
  }

  /** Appends one record whose value may be null; false when it does not fit into `limit` bytes. */
  appendRecord(
    keyPart: Uint8Array,
    value: Uint8Array | null,
    headersPart: Uint8Array,
    timestamp: Int64,
    limit: number,
  ): boolean {
    if (this.count === 0) {
      this.baseTimestamp = timestamp;
      this.maxTimestamp = timestamp;
    }
    const delta = difference(timestamp, this.baseTimestamp);
    const valueSize = value === null ? 1 : varintSize(value.length) + value.length;
    const body = 1 + varlongSize(delta) + varintSize(this.count) + keyPart.length + valueSize + headersPart.length;
    const total = varintSize(body) + body;
    if (this.size + total > limit && this.count > 0) return false;
    this.reserve(total);
    const buffer = this.buffer;
    let p = writeVarint(buffer, this.end, body);
    buffer[p++] = 0;
    p = writeVarlong(buffer, p, delta);
    p = writeVarint(buffer, p, this.count);
    buffer.set(keyPart, p);
    p += keyPart.length;
    if (value === null) buffer[p++] = 1;
    else {
      p = writeVarint(buffer, p, value.length);
      buffer.set(value, p);
      p += value.length;
    }
    buffer.set(headersPart, p);
    this.end = p + headersPart.length;
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp;
    this.count++;
    return true;
  }

  private reserve(bytes: number): void {
    const needed = this.end + bytes;
    if (needed <= this.buffer.length) return;
    const larger = this.pool.take(needed);
    this.buffer.copy(larger, 0, 0, this.end);
    this.pool.give(this.buffer);
    this.buffer = larger;
  }

  /** Compresses the records; nothing can be appended afterwards. Keeps them as they are where that is no shorter. */
  compress(codec: Codec, level?: number): void {
    if (codec === "none" || this.codec !== "none") return;
    const from = HEADROOM + BATCH_OVERHEAD;
    const packed = compress(codec, this.buffer.subarray(from, this.end), level, scratch.room);
    if (from + packed.length >= this.end) return;
    this.codec = codec;
    const smaller = this.pool.take(from + packed.length);
    smaller.set(packed, from);
    this.pool.give(this.buffer);
    this.buffer = smaller;
    this.end = from + packed.length;
  }

  /** Fills in the header. Stamping again (another producer, epoch or sequence) is allowed while nothing is in flight. */
  stamp(producer: ProducerStamp, sequence: number): void {
    this.sequence = sequence;
    this.epoch = producer.epoch;
    this.producerId = producer.id;
    writeBatchHeader(this.buffer, HEADROOM, this.end, producer, this);
  }

  /** The records as they were appended, one after the other: a view, or decompressed. */
  rawRecords(): Buffer {
    const records = this.buffer.subarray(HEADROOM + BATCH_OVERHEAD, this.end);
    if (this.codec === "none") return records;
    const raw = decompress(this.codec, records, 1 << 30);
    return Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  }

  /** A batch without records for the same partition, with room for `bytes` of them. */
  emptyCopy(bytes: number): RecordBatch {
    const copy = new RecordBatch(this.topic, this.partition, this.pool, this.openedAt, bytes);
    copy.firstSentAt = this.firstSentAt;
    copy.timesGiven = this.timesGiven;
    return copy;
  }

  /** Appends a record of another batch; `timestamp` in milliseconds since the epoch. */
  appendEncoded(record: EncodedRecord, timestamp: Int64): void {
    if (this.count === 0) {
      this.baseTimestamp = timestamp;
      this.maxTimestamp = timestamp;
    }
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp;
    const delta = difference(timestamp, this.baseTimestamp);
    const body = 1 + varlongSize(delta) + varintSize(this.count) + record.rest.length;
    this.reserve(varintSize(body) + body);
    let p = writeVarint(this.buffer, this.end, body);
    this.buffer[p++] = 0;
    p = writeVarlong(this.buffer, p, delta);
    p = writeVarint(this.buffer, p, this.count);
    this.buffer.set(record.rest, p);
    this.end = p + record.rest.length;
    this.count++;
  }

  /** Books `count` more records under a range; the range counts this batch once. */
  addRange(range: Range, count: number): void {
    if (count === 0) return;
    const last = this.ranges.length - 1;
    if (this.ranges[last] === range) {
      this.rangeCounts[last] = (this.rangeCounts[last] as number) + count;
      return;
    }
    this.ranges.push(range);
    this.rangeCounts.push(count);
    range.pending++;
  }

  /** Gives the memory back. */
  free(): void {
    this.pool.give(this.buffer);
    this.buffer = Buffer.alloc(0);
  }
}

function zero(buffer: Uint8Array, at: number): number {
  buffer[at] = 0;
  return at + 1;
}

/** `Buffer.copy` without a view per record; plain Uint8Arrays do not have it. */
function copyBytes(source: Buffer, target: Buffer, at: number, start: number, end: number): void {
  Buffer.prototype.copy.call(source, target, at, start, end);
}
