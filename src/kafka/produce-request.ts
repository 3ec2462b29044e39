/**
 * Produce version 8, the last before the flexible ones with an error text per partition; transactions as before KIP-890:
 * https://kafka.apache.org/protocol.html#The_Messages_Produce
 */
import type { ApiRequest } from "./client.ts";
import { HEADROOM, type RecordBatch } from "./record-batch.ts";
import { Writer } from "./wire.ts";

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
}

export const partitionKey = (topic: string, partition: number) => `${topic} ${partition}`;

/** At most one batch of each partition. A single batch is sent from its own buffer. */
export function produceRequest(
  batches: readonly RecordBatch[],
  options: ProduceOptions,
): ApiRequest<ProduceResponse | undefined> {
  const only = batches.length === 1 ? (batches[0] as RecordBatch) : null;
  const framed = only && framedBody(only, options);
  return {
    name: "Produce",
    key: 0,
    version: 8,
    ...(framed ?? { body: combinedBody(batches, options) }),
    expectResponse: options.acks !== 0,
    parse(reader) {
      const results: ProduceResponse["results"] = new Map();
      reader.array(() => {
        const topic = reader.string();
        reader.array(() => {
          const partition = reader.int32();
          const result = { code: reader.int16(), baseOffset: reader.int64(), logAppendTime: Number(reader.int64()) };
          reader.int64();
          const recordErrors = reader.array(() => {
            reader.int32();
            return reader.nullableString();
          });
          const message = reader.nullableString() ?? recordErrors.find((text) => text) ?? null;
          results.set(partitionKey(topic, partition), { ...result, message });
        });
      });
      return { results, throttleMs: reader.int32() };
    },
  };
}

/** The request's fields right in front of the batch, in its headroom; null when they do not fit there. */
function framedBody(batch: RecordBatch, options: ProduceOptions) {
  const prefix = new Writer(300);
  requestPrefix(prefix, options).int32(1).string(batch.topic).int32(1);
  const bytes = prefix.int32(batch.partition).int32(batch.size).finish();
  const headroom = HEADROOM - bytes.length;
  if (headroom < options.headerBytes) return null;
  const body = batch.frame;
  body.set(bytes, headroom);
  return { body, headroom };
}

function combinedBody(batches: readonly RecordBatch[], options: ProduceOptions): Buffer {
  const byTopic = new Map<string, RecordBatch[]>();
  let size = 256 + (options.transactionalId?.length ?? 0) * 3;
  for (const batch of batches) {
    size += batch.size + 8;
    const same = byTopic.get(batch.topic);
    if (same) same.push(batch);
    else {
      byTopic.set(batch.topic, [batch]);
      size += batch.topic.length + 6;
    }
  }
  const writer = new Writer(size);
  requestPrefix(writer, options).array([...byTopic], ([topic, group]) => {
    writer.string(topic).array(group, (batch) => {
      writer.int32(batch.partition).bytes(batch.frame.subarray(HEADROOM));
    });
  });
  return writer.finish();
}

function requestPrefix(writer: Writer, options: ProduceOptions): Writer {
  return writer.string(options.transactionalId).int16(options.acks).int32(options.timeoutMs);
}
