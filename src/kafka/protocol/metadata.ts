/**
 * Metadata request, versions 5 (Kafka 1.0) to 12, flexible from 9 on, with topic ids from 10 on (KIP-516), never creating a
 * topic: https://kafka.apache.org/protocol.html#The_Messages_Metadata
 */
import type { ApiRequest } from "./request.ts";
import { type Reader, readBroker } from "./wire.ts";

export interface PartitionMetadata {
  partition: number;
  /** Node id; -1 while there is none. */
  leader: number;
  leaderEpoch: number;
  replicas: number[];
  isr: number[];
  offline: number[];
}

export interface TopicMetadata {
  name: string;
  /** 16 bytes, hex; null where the broker has none. */
  topicId: string | null;
  /** Code of `errors.ts`; 0 is none. */
  errorCode: number;
  isInternal: boolean;
  partitions: PartitionMetadata[];
}

export interface ClusterMetadata {
  clusterId: string | null;
  controllerId: number;
  brokers: { nodeId: number; host: string; port: number; rack: string | null }[];
  topics: TopicMetadata[];
}

export const METADATA = 3;

const oldest = 5;
const newest = 12;

/** All topics when `topics` is null; none, only the brokers, when it is empty. */
export function metadataRequest(topics: readonly string[] | null, version = newest): ApiRequest<ClusterMetadata> {
  const flexible = version >= 9;
  return {
    name: "Metadata",
    key: METADATA,
    version,
    flexible,
    older: (latest) => (latest < oldest ? null : metadataRequest(topics, latest)),
    since: "1.0",
    body(writer) {
      if (flexible) {
        writer.compactArray(topics, (topic) => {
          if (version >= 10) writer.uuid(null);
          writer.compactString(topic).noTags();
        });
      } else writer.array(topics, (topic) => writer.string(topic));
      // Create no topic; tell of no authorized operations.
      writer.boolean(false);
      if (version >= 8 && version <= 10) writer.boolean(false);
      if (version >= 8) writer.boolean(false);
      if (flexible) writer.noTags();
    },
    parse: (reader) => parseMetadata(reader, version),
  };
}

function parseMetadata(reader: Reader, version: number): ClusterMetadata {
  const { string, nullableString, array, tags } = fields(reader, version);
  reader.int32();
  const brokers = array(() => {
    const broker = { ...readBroker(reader, string), rack: nullableString() };
    tags();
    return broker;
  });
  const clusterId = nullableString();
  const controllerId = reader.int32();
  const topics = array(() => parseTopic(reader, version));
  return { clusterId, controllerId, brokers, topics };
}

function parseTopic(reader: Reader, version: number): TopicMetadata {
  const { string, array, tags } = fields(reader, version);
  const errorCode = reader.int16();
  const name = string();
  const topicId = version >= 10 ? reader.uuid().toString("hex") : null;
  const isInternal = reader.boolean();
  const partitions = array(() => parsePartition(reader, version));
  if (version >= 8) reader.int32();
  tags();
  partitions.sort((a, b) => a.partition - b.partition);
  return { name, topicId: topicId === noTopicId ? null : topicId, errorCode, isInternal, partitions };
}

function parsePartition(reader: Reader, version: number): PartitionMetadata {
  const { array, tags } = fields(reader, version);
  const nodes = () => array(() => reader.int32());
  reader.int16();
  const partition = {
    partition: reader.partition(),
    leader: reader.int32(),
    leaderEpoch: version >= 7 ? reader.int32() : -1,
    replicas: nodes(),
    isr: nodes(),
    offline: nodes(),
  };
  tags();
  return partition;
}

/** How the same fields are written in classic and in flexible versions. */
function fields(reader: Reader, version: number) {
  const flexible = version >= 9;
  return {
    string: () => (flexible ? reader.compactString() : reader.string()),
    nullableString: () => (flexible ? reader.compactNullableString() : reader.nullableString()),
    array: <T>(read: () => T): T[] => (flexible ? reader.compactArray(read) : reader.array(read)),
    tags: () => {
      if (flexible) reader.skipTags();
    },
  };
}

const noTopicId = "0".repeat(32);
