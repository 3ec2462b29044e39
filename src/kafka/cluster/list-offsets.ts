/** Where partitions begin and end, and the offset of a time: ListOffsets, sent to each partition's leader. */

import { KafkaError } from "../protocol/errors.ts";
import type { IsolationLevel } from "../protocol/fetch.ts";
import type { ApiRequest, TopicPartition } from "../protocol/request.ts";
import type { KafkaClient } from "./client.ts";
import { withLeaders } from "./leaders.ts";

export type { TopicPartition };

/** `end` with read-committed is the last stable offset. A number is a time in milliseconds since the epoch. */
export type OffsetQuery = "start" | "end" | number;

export interface ListedOffset extends TopicPartition {
  /** For a time: that of the first record at or after it, -1 when there is none. */
  offset: number;
}

const latest = -1;
const earliest = -2;

/**
 * Answers in the order of `partitions`. Moved leaders and brokers that are away are retried until `timeout`
 * (milliseconds); then, and on errors that waiting does not mend, throws KafkaError or LogagentError. With `missing` it does
 * not throw: the partitions that are not known go there, by `topic/partition`, and have the offset -1.
 */
export async function listOffsets(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  query: OffsetQuery,
  isolation: IsolationLevel,
  timeout: number,
  missing?: Map<string, Error>,
): Promise<ListedOffset[]> {
  const found = new Map<string, number>();
  const ask = async (node: number, wanted: TopicPartition[]) => {
    const answers = await client.send(node, listOffsetsRequest(wanted, query, isolation));
    const failed: { item: TopicPartition; error: KafkaError }[] = [];
    for (const { topic, partition, errorCode, offset } of answers) {
      if (errorCode === 0) found.set(`${topic}/${partition}`, offset);
      else
        failed.push({
          item: { topic, partition },
          error: new KafkaError(errorCode, `listing offsets of ${topic}/${partition}`),
        });
    }
    return failed;
  };
  await withLeaders(client, partitions, timeout, ask, missing);
  return partitions.map(({ topic, partition }) => ({
    topic,
    partition,
    offset: found.get(`${topic}/${partition}`) ?? -1,
  }));
}

/** Version 5, or of older brokers 2 (Kafka 0.11) to 4: https://kafka.apache.org/protocol.html#The_Messages_ListOffsets */
function listOffsetsRequest(
  partitions: readonly TopicPartition[],
  query: OffsetQuery,
  isolation: IsolationLevel,
  version = 5,
): ApiRequest<(ListedOffset & { errorCode: number })[]> {
  const timestamp = query === "start" ? earliest : query === "end" ? latest : query;
  const topics = Map.groupBy(partitions, ({ topic }) => topic);
  return {
    name: "ListOffsets",
    key: 2,
    version,
    older: (latest) => (latest < 2 ? null : listOffsetsRequest(partitions, query, isolation, latest)),
    since: "0.11",
    body(writer) {
      writer.int32(-1).int8(isolation === "read-committed" ? 1 : 0);
      writer.array([...topics], ([topic, items]) => {
        writer.string(topic).array(items, ({ partition }) => {
          writer.int32(partition);
          if (version >= 4) writer.int32(-1);
          writer.int64(BigInt(Math.trunc(timestamp)));
        });
      });
    },
    parse(reader) {
      reader.int32();
      const listed: (ListedOffset & { errorCode: number })[] = [];
      reader.array(() => {
        const topic = reader.string();
        reader.array(() => {
          const partition = reader.int32();
          const errorCode = reader.int16();
          reader.int64();
          listed.push({ topic, partition, errorCode, offset: reader.number64() });
          if (version >= 4) reader.int32();
        });
      });
      return listed;
    },
  };
}
