/** Fetch version 11 (KIP-392: rack id, preferred replica), without sessions: https://kafka.apache.org/protocol.html#The_Messages_Fetch */
import type { ApiRequest } from "./client.ts";
import type { AbortedTransaction } from "./decode.ts";

export const isolationLevels = ["read-uncommitted", "read-committed"] as const;
export type IsolationLevel = (typeof isolationLevels)[number];

export interface FetchPosition {
  topic: string;
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
  return {
    name: "Fetch",
    key: 1,
    version: 11,
    timeout: limits.maxWait + timeout,
    body(writer) {
      writer.int32(-1).int32(limits.maxWait).int32(limits.minBytes).int32(limits.maxBytes);
      writer.int8(isolation === "read-committed" ? 1 : 0);
      // No session: id 0, epoch -1 (KIP-227).
      writer.int32(0).int32(-1);
      writer.array([...topics], ([topic, partitions]) => {
        writer.string(topic).array(partitions, ({ partition, offset }) => {
          // Current leader epoch and follower's log start offset: unknown, none.
          writer.int32(partition).int32(-1).int64(BigInt(offset)).int64(-1n).int32(limits.partitionBytes);
        });
      });
      writer.array([], () => {});
      writer.string(rack);
    },
    parse(reader) {
      const throttleMs = reader.int32();
      const errorCode = reader.int16();
      reader.int32();
      const partitions: FetchedPartition[] = [];
      reader.array(() => {
        const topic = reader.string();
        reader.array(() => {
          partitions.push({
            topic,
            partition: reader.int32(),
            errorCode: reader.int16(),
            highWatermark: Number(reader.int64()),
            lastStableOffset: Number(reader.int64()),
            logStartOffset: Number(reader.int64()),
            aborted: reader.array(() => ({ producerId: reader.int64(), firstOffset: Number(reader.int64()) })),
            preferredReplica: reader.int32(),
            records: reader.nullableBytes() ?? empty,
          });
        });
      });
      return { throttleMs, errorCode, partitions };
    },
  };
}
