/**
 * Fetch without sessions, version 13, which names topics by their ids (KIP-516), so that a topic that was created again is
 * not taken for the old one; 4 (Kafka 0.11) to 11 where there are no ids. From 11 on with rack id and preferred replica
 * (KIP-392). https://kafka.apache.org/protocol.html#The_Messages_Fetch
 */

import type { AbortedTransaction } from "../record/record-set-reader.ts";
import type { ApiRequest } from "./request.ts";
import type { Reader, Writer } from "./wire.ts";

export const isolationLevels = ["read-uncommitted", "read-committed"] as const;
export type IsolationLevel = (typeof isolationLevels)[number];

export interface FetchPosition {
  topic: string;
  /** 16 bytes, hex; none where the broker has none. */
  topicId?: string | null;
  partition: number;
  offset: number;
}

export interface FetchLimits {
  /** Milliseconds the broker waits for `minBytes`. */
  maxWait: number;
  minBytes: number;
  /** Of the whole response, and of one partition; the broker sends at least one batch all the same. */
  maxBytes: number;
  partitionBytes: number;
}

export interface FetchedPartition {
  topic: string;
  /** What it was asked for by; null: by the name. */
  topicId: string | null;
  partition: number;
  errorCode: number;
  highWatermark: number;
  /** The end for read-committed; equals the high watermark where there are no transactions. */
  lastStableOffset: number;
  logStartOffset: number;
  aborted: AbortedTransaction[];
  /** Node to fetch from instead (KIP-392); -1 is none. */
  preferredReplica: number;
  /** A view of the response: record batches, the last one possibly cut off. */
  records: Buffer;
}

export interface FetchResponse {
  /** Milliseconds (KIP-219). */
  throttleMs: number;
  errorCode: number;
  partitions: FetchedPartition[];
}

const empty = Buffer.alloc(0);

/** Positions of one topic must be next to each other. */
export function fetchRequest(
  positions: readonly FetchPosition[],
  isolation: IsolationLevel,
  limits: FetchLimits,
  rack: string,
  timeout: number,
): ApiRequest<FetchResponse> {
  const topics = Map.groupBy(positions, (position) => position.topic);
  const fetch: Fetch = { topics: [...topics], isolation, limits, rack, timeout };
  return positions.every(({ topicId }) => topicId) ? fetchById(fetch) : fetchByName(fetch, 11);
}

interface Fetch {
  topics: [topic: string, positions: FetchPosition[]][];
  isolation: IsolationLevel;
  limits: FetchLimits;
  rack: string;
  timeout: number;
}

function fetchById(fetch: Fetch): ApiRequest<FetchResponse> {
  const { topics, limits, rack } = fetch;
  return {
    name: "Fetch",
    key: 1,
    lane: "fetch", // it waits at the broker
    version: 13,
    flexible: true,
    older: (latest) => (latest < 4 ? null : fetchByName(fetch, Math.min(latest, 11))),
    timeout: limits.maxWait + fetch.timeout,
    throttle: ({ throttleMs }) => throttleMs,
    body(writer) {
      writeLimits(writer, fetch, 13);
      writer.compactArray(topics, ([, positions]) => {
        writer.uuid(Buffer.from(positions[0]?.topicId ?? "", "hex"));
        writer.compactArray(positions, ({ partition, offset }) => {
          // Leader epoch, last fetched epoch and the follower's log start offset: unknown, none.
          writer.int32(partition).int32(-1).int64(BigInt(offset)).int32(-1).int64(-1n);
          writer.int32(limits.partitionBytes).noTags();
        });
        writer.noTags();
      });
      writer.compactArray([], () => {});
      writer.compactString(rack).noTags();
    },
    parse(reader) {
      const names = new Map(topics.map(([topic, positions]) => [positions[0]?.topicId as string, topic]));
      const throttleMs = reader.throttleMs();
      const errorCode = reader.int16();
      reader.int32();
      const partitions: FetchedPartition[] = [];
      reader.compactArray(() => {
        const topicId = reader.uuid().toString("hex");
        const topic = names.get(topicId) ?? "";
        reader.compactArray(() => {
          partitions.push({ topic, topicId, ...parsePartitionById(reader) });
        });
        reader.skipTags();
      });
      return { throttleMs, errorCode, partitions };
    },
  };
}

function parsePartitionById(reader: Reader) {
  const partition = {
    ...parseOffsets(reader, 13),
    aborted: reader.compactArray(() => {
      const transaction = { producerId: reader.int64(), firstOffset: reader.number64() };
      reader.skipTags();
      return transaction;
    }),
    preferredReplica: reader.int32(),
    records: reader.compactNullableBytes() ?? empty,
  };
  reader.skipTags();
  return partition;
}

/** Versions 4 to 11. */
function fetchByName(fetch: Fetch, version: number): ApiRequest<FetchResponse> {
  const { topics, limits, rack } = fetch;
  return {
    name: "Fetch",
    key: 1,
    lane: "fetch", // it waits at the broker
    version,
    flexible: false,
    older: (latest) => (latest < 4 ? null : fetchByName(fetch, latest)),
    since: "0.11",
    timeout: limits.maxWait + fetch.timeout,
    throttle: ({ throttleMs }) => throttleMs,
    body(writer) {
      writeLimits(writer, fetch, version);
      writer.array(topics, ([topic, positions]) => {
        writer.string(topic).array(positions, ({ partition, offset }) => {
          writer.int32(partition);
          if (version >= 9) writer.int32(-1);
          writer.int64(BigInt(offset));
          if (version >= 5) writer.int64(-1n);
          writer.int32(limits.partitionBytes);
        });
      });
      if (version >= 7) writer.array([], () => {});
      if (version >= 11) writer.string(rack);
    },
    parse(reader) {
      const throttleMs = reader.throttleMs();
      const errorCode = version >= 7 ? reader.int16() : 0;
      if (version >= 7) reader.int32();
      const partitions: FetchedPartition[] = [];
      reader.array(() => {
        const topic = reader.string();
        reader.array(() => {
          partitions.push({
            topic,
            topicId: null,
            ...parseOffsets(reader, version),
            aborted: reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.number64() })),
            preferredReplica: version >= 11 ? reader.int32() : -1,
            records: reader.nullableBytes() ?? empty,
          });
        });
      });
      return { throttleMs, errorCode, partitions };
    },
  };
}

function writeLimits(writer: Writer, { isolation, limits }: Fetch, version: number): void {
  writer.int32(-1).int32(limits.maxWait).int32(limits.minBytes).int32(limits.maxBytes);
  writer.int8(isolation === "read-committed" ? 1 : 0);
  // No session: id 0, epoch -1 (KIP-227).
  if (version >= 7) writer.int32(0).int32(-1);
}

function parseOffsets(reader: Reader, version: number) {
  return {
    partition: reader.int32(),
    errorCode: reader.int16(),
    highWatermark: reader.number64(),
    lastStableOffset: reader.number64(),
    logStartOffset: version >= 5 ? reader.number64() : -1,
  };
}
