/**
 * The requests of the classic group protocol, field by field as in https://kafka.apache.org/protocol.html, before their
 * flexible versions; static members (KIP-345).
 */
import type { ApiRequest, TopicPartition } from "./request.ts";
import { errorAfterThrottle, MalformedError, Reader, Writer } from "./wire.ts";

export interface Member {
  memberId: string;
  subscription: string[];
}

export interface Joined {
  errorCode: number;
  generation: number;
  protocol: string;
  leader: string;
  memberId: string;
  /** Only the leader gets them. */
  members: Member[];
}

export interface Membership {
  group: string;
  memberId: string;
  generation: number;
  /** Static member's name; null for a dynamic one. */
  instanceId: string | null;
}

/** Who commits for an empty group from outside. */
export function noMember(group: string): Membership {
  return { group, memberId: "", generation: -1, instanceId: null };
}

export interface JoinOptions {
  topics: readonly string[];
  /** Assignors this member can carry out, the preferred first. */
  protocols: readonly string[];
  /** Milliseconds. */
  sessionTimeout: number;
  rebalanceTimeout: number;
}

/** JoinGroup v5. Answered when every member has joined, so up to the rebalance time-out later. */
export function joinGroup(membership: Membership, options: JoinOptions): ApiRequest<Joined> {
  const subscription = encodeSubscription(options.topics);
  return {
    name: "JoinGroup",
    key: 11,
    version: 5,
    since: "2.3",
    timeout: options.rebalanceTimeout + 10_000,
    body(writer) {
      writer.string(membership.group).int32(options.sessionTimeout).int32(options.rebalanceTimeout);
      writer.string(membership.memberId).string(membership.instanceId).string("consumer");
      writer.array(options.protocols, (name) => writer.string(name).bytes(subscription));
    },
    parse(reader) {
      return {
        errorCode: errorAfterThrottle(reader),
        generation: reader.int32(),
        protocol: reader.string(),
        leader: reader.string(),
        memberId: reader.string(),
        members: reader.array(() => {
          const memberId = reader.string();
          reader.nullableString();
          return { memberId, subscription: decodeSubscription(reader.nullableBytes()) };
        }),
      };
    },
  };
}

/** SyncGroup v3. `assignments` is empty for all but the leader. */
export function syncGroup(
  membership: Membership,
  assignments: ReadonlyMap<string, readonly TopicPartition[]>,
): ApiRequest<{ errorCode: number; partitions: TopicPartition[] }> {
  return {
    name: "SyncGroup",
    key: 14,
    version: 3,
    since: "2.3",
    body(writer) {
      writeMembership(writer, membership);
      writer.array([...assignments], ([memberId, partitions]) => {
        writer.string(memberId).bytes(encodeAssignment(partitions));
      });
    },
    parse(reader) {
      const errorCode = errorAfterThrottle(reader);
      return { errorCode, partitions: decodeAssignment(reader.nullableBytes()) };
    },
  };
}

/** Heartbeat v3; the answer is an error code. */
export function heartbeat(membership: Membership): ApiRequest<number> {
  return {
    name: "Heartbeat",
    key: 12,
    version: 3,
    since: "2.3",
    body(writer) {
      writeMembership(writer, membership);
    },
    parse: errorAfterThrottle,
  };
}

/** LeaveGroup v3, or of older brokers 0 to 2, which know no static members; the answer is an error code. */
export function leaveGroup(membership: Membership, version = 3): ApiRequest<number> {
  return {
    name: "LeaveGroup",
    key: 13,
    version,
    older: (latest) => (membership.instanceId === null ? leaveGroup(membership, latest) : null),
    since: "2.4",
    timeout: 5000,
    body(writer) {
      writer.string(membership.group);
      if (version < 3) {
        writer.string(membership.memberId);
        return;
      }
      writer.array([membership], (member) => writer.string(member.memberId).string(member.instanceId));
    },
    parse: (reader) => (version >= 1 ? errorAfterThrottle(reader) : reader.int16()),
  };
}

/** OffsetCommit v7; the answer holds a code for each partition. */
export function offsetCommit(
  membership: Membership,
  offsets: readonly (TopicPartition & { offset: number })[],
): ApiRequest<(TopicPartition & { errorCode: number })[]> {
  return {
    name: "OffsetCommit",
    key: 8,
    version: 7,
    since: "2.3",
    body(writer) {
      writeMembership(writer, membership);
      writer.array([...Map.groupBy(offsets, ({ topic }) => topic)], ([topic, items]) => {
        writer.string(topic).array(items, ({ partition, offset }) => {
          // Leader epoch -1: not known.
          writer.int32(partition).int64(BigInt(offset)).int32(-1).string("");
        });
      });
    },
    parse(reader) {
      reader.int32();
      const perTopic = reader.array(() => {
        const topic = reader.string();
        return reader.array(() => ({ topic, partition: reader.int32(), errorCode: reader.int16() }));
      });
      return perTopic.flat();
    },
  };
}

/** Who asks, as most requests of a member begin. */
function writeMembership(writer: Writer, { group, generation, memberId, instanceId }: Membership): void {
  writer.string(group).int32(generation).string(memberId).string(instanceId);
}

/** ConsumerProtocolSubscription v0: version, topics, user data. */
function encodeSubscription(topics: readonly string[]): Buffer {
  const writer = new Writer();
  writer
    .int16(0)
    .array(topics, (topic) => writer.string(topic))
    .bytes(null);
  return writer.finish();
}

/** Later versions only add fields behind. */
function decodeSubscription(bytes: Buffer | null): string[] {
  if (bytes === null || bytes.length === 0) return [];
  const reader = new Reader(bytes);
  return orElse([], () => {
    reader.int16();
    return reader.array(() => reader.string());
  });
}

/** ConsumerProtocolAssignment v0: version, topics with partitions, user data. */
function encodeAssignment(partitions: readonly TopicPartition[]): Buffer {
  const writer = new Writer();
  writer.int16(0).array([...Map.groupBy(partitions, ({ topic }) => topic)], ([topic, items]) => {
    writer.string(topic).array(items, ({ partition }) => writer.int32(partition));
  });
  return writer.bytes(null).finish();
}

/** Empty also for what is none: groups of other protocols put what they like there. */
export function decodeAssignment(bytes: Buffer | null): TopicPartition[] {
  if (bytes === null || bytes.length < 6) return [];
  return orElse([], () => readAssignment(bytes));
}

/** What members of a group give each other comes through the broker, which is not to blame for it. */
function orElse<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return otherwise;
    throw error;
  }
}

function readAssignment(bytes: Buffer): TopicPartition[] {
  const reader = new Reader(bytes);
  reader.int16();
  const perTopic = reader.array(() => {
    const topic = reader.string();
    return reader.array(() => ({ topic, partition: reader.partition() }));
  });
  return perTopic.flat();
}
