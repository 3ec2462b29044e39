/**
 * Produce version 8, the last before the flexible ones with an error text per partition, and for older brokers 3 (Kafka
 * 0.11) to 7, whose requests are the same; transactions as before KIP-890:
 * https://kafka.apache.org/protocol.html#The_Messages_Produce
 */

import { HEADROOM, type RecordBatch } from "../producer/producer-batch.ts";
import type { BufferPool } from "../record/buffer-pool.ts";
import type { ApiRequest } from "./request.ts";
import { type Reader, Writer } from "./wire.ts";

export interface PartitionResult {
  code: number;
  baseOffset: bigint;
  /** -1 unless the topic's timestamps are log append times. */
  logAppendTime: number;
  message: string | null;
}

export interface ProduceResponse {
  /** By `topic partition`, see `partitionKey`. */
  results: Map<string, PartitionResult>;
  throttleMs: number;
}

export interface ProduceOptions {
  acks: number;
  /** How long the broker may wait for the replicas, milliseconds. */
  timeoutMs: number;
  transactionalId: string | null;
  /** Bytes of the client's own request header. */
  headerBytes: number;
  /** Encoded fields in front of a batch, by topic and partition; filled as needed. */
  prefixes: Map<string, Buffer[]>;
}

export const partitionKey = (topic: string, partition: number) => `${topic} ${partition}`;

/**
 * At most one batch of each partition. A single batch is sent from its own buffer, several are copied into one of the
 * pool; `release` gives it back once the request has ended.
 */
export function produceRequest(
  batches: readonly RecordBatch[],
  options: ProduceOptions,
  pool: BufferPool,
): { request: ApiRequest<ProduceResponse | undefined>; release: () => void } {
  const only = batches.length === 1 ? (batches[0] as RecordBatch) : null;
  const framed = only && framedBody(only, options);
  if (framed) return { request: withBody(framed.body, framed.headroom, options), release: () => {} };
  const { body, headroom, buffer } = combinedBody(batches, options, pool);
  return { request: withBody(body, headroom, options), release: () => pool.give(buffer) };
}

function withBody(
  body: Buffer,
  headroom: number,
  options: ProduceOptions,
  version = 8,
): ApiRequest<ProduceResponse | undefined> {
  return {
    name: "Produce",
    key: 0,
    version,
    older: (latest) => (latest < 3 ? null : withBody(body, headroom, options, latest)),
    since: "0.11",
    body,
    headroom,
    expectResponse: options.acks !== 0,
    throttle: (answer) => answer?.throttleMs ?? 0,
    parse(reader) {
      const results: ProduceResponse["results"] = new Map();
      for (let topics = reader.int32(); topics > 0; topics--) {
        const topic = reader.string();
        for (let partitions = reader.int32(); partitions > 0; partitions--) {
          results.set(partitionKey(topic, reader.int32()), partitionResult(reader, version));
        }
      }
      return { results, throttleMs: reader.throttleMs() };
    },
  };
}

function partitionResult(reader: Reader, version: number): PartitionResult {
  const code = reader.int16();
  const baseOffset = reader.int64();
  const logAppendTime = Number(reader.int64());
  if (version >= 5) reader.int64();
  return { code, baseOffset, logAppendTime, message: version >= 8 ? errorText(reader) : null };
}

/** The broker's own words: of the batch, else of a record in it. */
function errorText(reader: Reader): string | null {
  let ofRecord: string | null = null;
  for (let errors = reader.int32(); errors > 0; errors--) {
    reader.int32();
    const text = reader.nullableString();
    ofRecord ||= text;
  }
  return reader.nullableString() ?? ofRecord;
}

/** The request's fields right in front of the batch, in its headroom; null when they do not fit there. */
function framedBody(batch: RecordBatch, options: ProduceOptions) {
  const prefix = prefixOf(batch, options);
  const headroom = HEADROOM - prefix.length;
  if (headroom < options.headerBytes) return null;
  const body = batch.frame;
  body.set(prefix, headroom);
  body.writeInt32BE(batch.size, HEADROOM - 4);
  return { body, headroom };
}

/** The same for every batch of a partition but for its last field, the batch's size. */
function prefixOf(batch: RecordBatch, options: ProduceOptions): Buffer {
  let prefix = options.prefixes.get(batch.topic)?.[batch.partition];
  if (!prefix) {
    const writer = requestPrefix(new Writer(300), options).int32(1).string(batch.topic).int32(1);
    prefix = Buffer.from(writer.int32(batch.partition).int32(0).finish());
    const known = options.prefixes.get(batch.topic) ?? [];
    known[batch.partition] = prefix;
    options.prefixes.set(batch.topic, known);
  }
  return prefix;
}

/** All batches copied into one buffer of the pool, behind room for the client's header. */
function combinedBody(batches: readonly RecordBatch[], options: ProduceOptions, pool: BufferPool) {
  const pieces: Buffer[] = [];
  const byTopic = Map.groupBy(batches, ({ topic }) => topic);
  let fields = requestPrefix(new Writer(300), options).int32(byTopic.size);
  for (const [topic, group] of byTopic) {
    fields.string(topic).int32(group.length);
    for (const batch of group) {
      pieces.push(fields.int32(batch.partition).int32(batch.size).finish(), batch.frame.subarray(HEADROOM));
      fields = new Writer(300);
    }
  }
  const size = pieces.reduce((sum, { length }) => sum + length, HEADROOM);
  const buffer = pool.take(size);
  let at = HEADROOM;
  for (const piece of pieces) {
    buffer.set(piece, at);
    at += piece.length;
  }
  return { body: buffer.subarray(0, size), headroom: HEADROOM, buffer };
}

function requestPrefix(writer: Writer, options: ProduceOptions): Writer {
  return writer.string(options.transactionalId).int16(options.acks).int32(options.timeoutMs);
}
