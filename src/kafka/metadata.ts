/**
 * Metadata request, versions 9 to 12 (flexible; topic ids from 10 on, KIP-516), never creating a topic:
 * https://kafka.apache.org/protocol.html#The_Messages_Metadata
 */
import type { ApiRequest, ClusterMetadata, PartitionMetadata, TopicMetadata } from "./client.ts";
import type { Reader } from "./wire.ts";

export const METADATA = 3;

/** All topics when `topics` is null; none, only the brokers, when it is empty. */
export function metadataRequest(topics: readonly string[] | null, version = 12): ApiRequest<ClusterMetadata> {
  return {
    name: "Metadata",
    key: METADATA,
    version,
    flexible: true,
    body(writer) {
      writer.compactArray(topics, (topic) => {
        if (version >= 10) writer.uuid(null);
        writer.compactString(topic).noTags();
      });
      writer.boolean(false);
      if (version <= 10) writer.boolean(false);
      writer.boolean(false).noTags();
    },
    parse: (reader) => parseMetadata(reader, version),
  };
}

function parseMetadata(reader: Reader, version: number): ClusterMetadata {
  reader.int32();
  const brokers = reader.compactArray(() => {
    const broker = {
      nodeId: reader.int32(),
      host: reader.compactString(),
      port: reader.int32(),
      rack: reader.compactNullableString(),
    };
    reader.skipTags();
    return broker;
  });
  const clusterId = reader.compactNullableString();
  const controllerId = reader.int32();
  const topics = reader.compactArray(() => parseTopic(reader, version));
  return { clusterId, controllerId, brokers, topics };
}

function parseTopic(reader: Reader, version: number): TopicMetadata {
  const errorCode = reader.int16();
  const name = reader.compactString();
  const topicId = version >= 10 ? reader.uuid().toString("hex") : null;
  const isInternal = reader.boolean();
  const partitions = reader.compactArray(() => parsePartition(reader));
  reader.int32();
  reader.skipTags();
  partitions.sort((a, b) => a.partition - b.partition);
  return { name, topicId: topicId === noTopicId ? null : topicId, errorCode, isInternal, partitions };
}

function parsePartition(reader: Reader): PartitionMetadata {
  reader.int16();
  const partition = {
    partition: reader.int32(),
    leader: reader.int32(),
    leaderEpoch: reader.int32(),
    replicas: reader.compactArray(() => reader.int32()),
    isr: reader.compactArray(() => reader.int32()),
    offline: reader.compactArray(() => reader.int32()),
  };
  reader.skipTags();
  return partition;
}

const noTopicId = "0".repeat(32);
