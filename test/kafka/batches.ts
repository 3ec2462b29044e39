/** A plain encoder of record batches, written from the format's description alone, for what the decoder is fed with. */

import { type Codec, codecId, compress } from "../../src/kafka/compression/codec.ts";
import { crc32c } from "../../src/kafka/record/crc32c.ts";

export interface PlainRecord {
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: { name: Uint8Array; value: Uint8Array | null }[];
  /** Milliseconds. */
  timestamp: number;
  /** From the batch's base offset; default: its place in the list. */
  offsetDelta?: number;
}

export interface PlainBatch {
  baseOffset: number;
  records: readonly PlainRecord[];
  codec?: Codec;
  lastOffsetDelta?: number;
  producerId?: bigint;
  transactional?: boolean;
  control?: boolean;
  logAppendTime?: boolean;
  maxTimestamp?: number;
}

export function encodeBatch(batch: PlainBatch): Buffer {
  const { records } = batch;
  const base = records[0]?.timestamp ?? 0;
  const body = compress(
    batch.codec ?? "none",
    Buffer.concat(records.map((record, i) => encodeRecord(record, i, base))),
  );
  const header = Buffer.alloc(61);
  header.writeBigInt64BE(BigInt(batch.baseOffset), 0);
  header.writeInt32BE(49 + body.length, 8);
  header[16] = 2;
  const flags = (batch.logAppendTime ? 8 : 0) | (batch.transactional ? 16 : 0) | (batch.control ? 32 : 0);
  header.writeInt16BE(codecId(batch.codec ?? "none") | flags, 21);
  header.writeInt32BE(batch.lastOffsetDelta ?? Math.max(0, records.length - 1), 23);
  header.writeBigInt64BE(BigInt(base), 27);
  header.writeBigInt64BE(BigInt(batch.maxTimestamp ?? Math.max(...records.map((r) => r.timestamp), base)), 35);
  header.writeBigInt64BE(batch.producerId ?? -1n, 43);
  header.writeInt16BE(-1, 51);
  header.writeInt32BE(-1, 53);
  header.writeInt32BE(records.length, 57);
  return seal(Buffer.concat([header, body]));
}

/** Puts the right checksum over whatever the batch holds now. */
export function seal(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

export function controlBatch(baseOffset: number, producerId: bigint, type: "abort" | "commit"): Buffer {
  const key = Buffer.from([0, 0, 0, type === "commit" ? 1 : 0]);
  const records = [{ key, value: Buffer.alloc(6), headers: [], timestamp: 0 }];
  return encodeBatch({ baseOffset, records, producerId, transactional: true, control: true });
}

function encodeRecord(record: PlainRecord, i: number, base: number): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(BigInt(record.timestamp - base)),
    varint(BigInt(record.offsetDelta ?? i)),
    bytes(record.key),
    bytes(record.value),
    varint(BigInt(record.headers.length)),
    ...record.headers.flatMap(({ name, value }) => [bytes(name), bytes(value)]),
  ]);
  return Buffer.concat([varint(BigInt(body.length)), body]);
}

function bytes(value: Uint8Array | null): Buffer {
  return value === null ? varint(-1n) : Buffer.concat([varint(BigInt(value.length)), value]);
}

export function varint(value: bigint): Buffer {
  const result: number[] = [];
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  for (; rest >= 0x80n; rest >>= 7n) result.push(Number(rest & 0x7fn) | 0x80);
  result.push(Number(rest));
  return Buffer.from(result);
}
