/**
 * The requests of a transaction as before KIP-890 (KIP-98, flexible versions of KIP-482), field by field as in
 * https://kafka.apache.org/protocol.html#protocol_messages. Parsers return the first error code that is not 0.
 */

import { codes } from "./errors.ts";
import type { ApiRequest, TopicPartition } from "./request.ts";
import { errorAfterThrottle, MalformedError, type Reader, type Writer } from "./wire.ts";

export interface ProducerIdentity {
  id: bigint;
  epoch: number;
}

export interface GroupOffset extends TopicPartition {
  /** The next offset to read, or whatever number a group stands for; -1 where nothing is committed. */
  offset: bigint;
  metadata: string | null;
}

/**
 * InitProducerId v4 (KIP-360), or of older brokers 0 to 3 for a start. `current` is null for a start or a take-over, else
 * the epoch is bumped.
 */
export function initProducerId(
  transactionalId: string | null,
  timeoutMs: number,
  current: ProducerIdentity | null,
  version = 4,
): ApiRequest<ProducerIdentity & { errorCode: number }> {
  const flexible = version >= 2;
  return {
    name: "InitProducerId",
    key: 22,
    version,
    flexible,
    older: (latest) => (current ? null : initProducerId(transactionalId, timeoutMs, null, latest)),
    body(w) {
      if (flexible) w.compactString(transactionalId).int32(timeoutMs);
      else w.string(transactionalId).int32(timeoutMs);
      if (version >= 3) w.int64(current?.id ?? -1n).int16(current?.epoch ?? -1);
      if (flexible) w.noTags();
    },
    parse(r) {
      const answer = { errorCode: errorAfterThrottle(r), id: r.int64(), epoch: r.int16() };
      if (answer.errorCode !== 0 || (answer.id >= 0n && answer.epoch >= 0)) return answer;
      throw new MalformedError(`reading a producer id: ${answer.id} with epoch ${answer.epoch} is none`);
    },
  };
}

/** AddPartitionsToTxn v3, or of older brokers 0 to 2: all partitions or none; the code is that of one the others were refused for. */
export function addPartitionsToTxn(
  transactionalId: string,
  producer: ProducerIdentity,
  partitions: readonly TopicPartition[],
  version = 3,
): ApiRequest<number> {
  const flexible = version >= 3;
  return {
    name: "AddPartitionsToTxn",
    key: 24,
    version,
    flexible,
    older: (latest) => addPartitionsToTxn(transactionalId, producer, partitions, latest),
    body(w) {
      transactionHeader(w, transactionalId, producer, flexible);
      if (!flexible) {
        w.array(byTopic(partitions), ([topic, items]) =>
          w.string(topic).array(items, (item) => w.int32(item.partition)),
        );
        return;
      }
      w.compactArray(byTopic(partitions), ([topic, items]) =>
        w
          .compactString(topic)
          .compactArray(items, (item) => w.int32(item.partition))
          .noTags(),
      ).noTags();
    },
    parse(r) {
      r.int32();
      let notAttempted = 0;
      const code = firstError(
        r,
        () => {
          if (flexible) r.compactString();
          else r.string();
          const ofPartition = () => {
            r.int32();
            const code = r.int16();
            if (code !== codes.OPERATION_NOT_ATTEMPTED) return code;
            notAttempted = code;
            return 0;
          };
          return firstError(r, ofPartition, flexible);
        },
        flexible,
      );
      return code || notAttempted;
    },
  };
}

/** AddOffsetsToTxn v3, or of older brokers 0 to 2: makes the group's offsets partition part of the transaction. */
export function addOffsetsToTxn(
  transactionalId: string,
  producer: ProducerIdentity,
  group: string,
  version = 3,
): ApiRequest<number> {
  const flexible = version >= 3;
  return {
    name: "AddOffsetsToTxn",
    key: 25,
    version,
    flexible,
    older: (latest) => addOffsetsToTxn(transactionalId, producer, group, latest),
    body(w) {
      transactionHeader(w, transactionalId, producer, flexible);
      if (flexible) w.compactString(group).noTags();
      else w.string(group);
    },
    parse: errorAfterThrottle,
  };
}

/** EndTxn v3, or of older brokers 0 to 2. */
export function endTxn(
  transactionalId: string,
  producer: ProducerIdentity,
  commit: boolean,
  version = 3,
): ApiRequest<number> {
  const flexible = version >= 3;
  return {
    name: "EndTxn",
    key: 26,
    version,
    flexible,
    older: (latest) => endTxn(transactionalId, producer, commit, latest),
    body(w) {
      transactionHeader(w, transactionalId, producer, flexible).boolean(commit);
      if (flexible) w.noTags();
    },
    parse: errorAfterThrottle,
  };
}

/** TxnOffsetCommit v3 (KIP-447), without group membership; the answer holds a code for each partition. */
export function txnOffsetCommit(
  transactionalId: string,
  group: string,
  producer: ProducerIdentity,
  offsets: readonly GroupOffset[],
): ApiRequest<(TopicPartition & { errorCode: number })[]> {
  return {
    name: "TxnOffsetCommit",
    key: 28,
    version: 3,
    flexible: true,
    since: "2.5",
    body: (w) =>
      w
        .compactString(transactionalId)
        .compactString(group)
        .int64(producer.id)
        .int16(producer.epoch)
        .int32(-1) // generation: no member
        .compactString("")
        .compactString(null)
        .compactArray(byTopic(offsets), ([topic, items]) =>
          w
            .compactString(topic)
            .compactArray(items, (item) =>
              w.int32(item.partition).int64(item.offset).int32(-1).compactString(item.metadata).noTags(),
            )
            .noTags(),
        )
        .noTags(),
    parse(r) {
      r.int32();
      const results: (TopicPartition & { errorCode: number })[] = [];
      firstError(r, () => {
        const topic = r.compactString();
        return firstError(r, () => {
          const partition = r.int32();
          results.push({ topic, partition, errorCode: r.int16() });
          return 0;
        });
      });
      return results;
    },
  };
}

/** OffsetFetch v7 (KIP-447), of all partitions with null: with `requireStable` a pending transaction on an offset answers UNSTABLE_OFFSET_COMMIT. */
export function offsetFetch(
  group: string,
  partitions: readonly TopicPartition[] | null,
  requireStable = true,
): ApiRequest<{ errorCode: number; offsets: GroupOffset[] }> {
  return {
    name: "OffsetFetch",
    key: 9,
    version: 7,
    flexible: true,
    since: "2.5",
    body: (w) =>
      w
        .compactString(group)
        .compactArray(partitions && byTopic(partitions), ([topic, items]) =>
          w
            .compactString(topic)
            .compactArray(items, (item) => w.int32(item.partition))
            .noTags(),
        )
        .boolean(requireStable)
        .noTags(),
    parse(r) {
      r.int32();
      const offsets: GroupOffset[] = [];
      const partitionsError = firstError(r, () => {
        const topic = r.compactString();
        return firstError(r, () => {
          const partition = r.int32();
          const offset = r.int64();
          r.int32();
          offsets.push({ topic, partition, offset, metadata: r.compactNullableString() });
          return r.int16();
        });
      });
      return { errorCode: r.int16() || partitionsError, offsets };
    },
  };
}

function transactionHeader(w: Writer, transactionalId: string, producer: ProducerIdentity, flexible: boolean): Writer {
  if (flexible) w.compactString(transactionalId);
  else w.string(transactionalId);
  return w.int64(producer.id).int16(producer.epoch);
}

/** Reads an array of structs, compact and tagged where the version is flexible; the first code that is not 0. */
function firstError(r: Reader, read: () => number, flexible = true): number {
  let first = 0;
  const one = () => {
    const code = read();
    if (flexible) r.skipTags();
    first ||= code;
  };
  if (flexible) r.compactArray(one);
  else r.array(one);
  return first;
}

function byTopic<T extends TopicPartition>(items: readonly T[]): [topic: string, items: T[]][] {
  return [...Map.groupBy(items, ({ topic }) => topic)];
}
