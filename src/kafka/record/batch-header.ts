/** The header of a record batch, format v2: https://kafka.apache.org/documentation/#recordbatch */
import { type Codec, codecId } from "../compression/codec.ts";
import { crc32c } from "./crc32c.ts";
import type { Int64 } from "./int64.ts";

/** Bytes of the header. */
export const BATCH_OVERHEAD = 61;

const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const TRANSACTIONAL = 1 << 4;

export interface ProducerStamp {
  /** -1 when not idempotent. */
  id: bigint;
  epoch: number;
  transactional: boolean;
}

export interface BatchFields {
  codec: Codec;
  /** Records. */
  count: number;
  /** Milliseconds since the epoch. */
  baseTimestamp: Int64;
  maxTimestamp: Int64;
  /** Of the first record; -1 when not idempotent. */
  sequence: number;
}

/** Writes the header of the batch `b[at, end)`, whose records are there, with the checksum over both. */
export function writeBatchHeader(
  b: Buffer,
  at: number,
  end: number,
  producer: ProducerStamp,
  batch: BatchFields,
): void {
  b.writeBigInt64BE(0n, at);
  b.writeInt32BE(end - at - 12, at + 8);
  b.writeInt32BE(-1, at + 12);
  b[at + 16] = 2;
  b.writeInt16BE(codecId(batch.codec) | (producer.transactional ? TRANSACTIONAL : 0), at + ATTRIBUTES_AT);
  b.writeInt32BE(batch.count - 1, at + 23);
  b.writeBigInt64BE(BigInt(batch.baseTimestamp), at + 27);
  b.writeBigInt64BE(BigInt(batch.maxTimestamp), at + 35);
  b.writeBigInt64BE(producer.id, at + 43);
  b.writeInt16BE(producer.epoch, at + 51);
  b.writeInt32BE(batch.sequence, at + 53);
  b.writeInt32BE(batch.count, at + 57);
  b.writeUInt32BE(crc32c(b, at + ATTRIBUTES_AT, end), at + CRC_AT);
}
