/**
 * The seam between the pipeline and the producer: chunks of lines go in, settled batches come back. Implemented by
 * `idempotent-producer.ts`; the pipeline's tests use a sink in memory.
 */

import type { Lines, Range } from "../../lines.ts";
import type { Int64 } from "../record/int64.ts";
import type { Header } from "../record/record-encoding.ts";

export type { Header };

/** `key` hashes as Java's default partitioner does (murmur2); a number is an explicit partition. */
export type Partitioner = "sticky" | "round-robin" | "random" | "key" | number;

/** Where and how the records of one input go. Constant keys and headers take the bulk path. */
export interface Route {
  topic: string;
  partitioner: Partitioner;
  key: Uint8Array | null | ((lines: Lines, i: number) => Uint8Array | null);
  headers: readonly Header[] | ((lines: Lines, i: number) => readonly Header[]);
  /** Record timestamps, milliseconds since the epoch; absent: the time of the append. */
  timestamp?: (lines: Lines, i: number) => Int64;
  /** True for a record whose value is null (a tombstone) whatever its bytes. */
  tombstone?: (lines: Lines, i: number) => boolean;
  /** An explicit partition for this record, over `partitioner`; null leaves it to that. */
  partition?: (lines: Lines, i: number) => number | null;
}

/** A closed record batch of one partition, held in memory until it is settled (in a transaction: until the commit). */
export interface Batch {
  readonly topic: string;
  readonly partition: number;
  /** Records in it. */
  readonly count: number;
  /** Encoded size in bytes. */
  readonly size: number;
  readonly ranges: readonly Range[];
}

export type Outcome =
  /** `offset` is that of the batch's first record; -1 where the broker does not say (acks 0). */
  | { kind: "acked"; offset: bigint; timestamp: Int64 }
  /** The records cannot be delivered as they are, for ever (for example a single record above the topic's limit). */
  | { kind: "dropped"; code: number; name: string; message: string };

/** What happened to a partition or the connection that an operator may want to know; never an error of the sink. */
export interface SinkEvent {
  level: "debug" | "info" | "warn" | "error";
  /** Stable name, for example `broker-unavailable`, `producer-state-lost`, `batch-split`, `topic-missing`. */
  name: string;
  message: string;
  topic?: string;
  partition?: number;
  cause?: unknown;
}

export interface Sink {
  /**
   * Resolves when the topic's partitions are known. Retries for ever with backoff while brokers are away; throws
   * LogagentError (BROKER_REFUSED "no such topic", AUTHORIZATION, …) for what waiting alone does not mend.
   */
  prepare(topic: string): Promise<void>;
  /** How many partitions a prepared topic has, as far as is known now. */
  partitions(topic: string): number;
  /** True while `append` for this topic stays under the memory cap and under the topic's fair share of it. */
  hasRoom(topic: string): boolean;
  /** Called (once per change) when room came back after `hasRoom` was false. */
  onRoom(f: () => void): void;
  /** Called again and again while records wait for a topic that is not there any more. */
  onMissing(f: (topic: string) => void): void;
  /**
   * Encodes all records of the chunk into open batches; copies what it needs. Creates the chunk's ranges: a range is
   * closed at the chunk's end and wherever a batch that holds records of it is closed.
   * A chunk without records (only skipped bytes) settles at once. Throws on a topic that is not prepared.
   */
  append(lines: Lines, route: Route): void;
  /** Called once for every batch, in no order across partitions; the `pending` of its ranges is reduced already. */
  onSettled(f: (batch: Batch, outcome: Outcome) => void): void;
  /** Closes open batches and resolves when everything appended is settled, true, or at the deadline (ms from now), false. */
  flush(deadline: number): Promise<boolean>;
  /** Bytes held in open, queued and in-flight batches. */
  readonly buffered: number;
  /** Drops what is not settled and closes connections. */
  close(): Promise<void>;
}

/** All batches of one transaction, in the order they were closed. */
export interface Cut {
  readonly batches: readonly Batch[];
  /** Encoded bytes. */
  readonly size: number;
}

/**
 * A sink whose batches are sent only as parts of a transaction. Appending goes on at any time; batches closed after a
 * cut belong to the next one. The order of calls per transaction: cut → send → (EndTxn by the caller) → release.
 * `onSettled` reports acked only at `release`.
 */
export interface TransactionalSink extends Sink {
  /** The producer id and epoch that following `send`s use; sequences restart at 0. */
  setProducer(producer: { id: bigint; epoch: number }): void;
  /** Closes open batches, those of the topics `without` excepted, which wait for a later cut; null when there is nothing. */
  cut(without?: ReadonlySet<string>): Cut | null;
  /** Moves the topics' batches out of a cut that is not being sent, to the front of the next one. */
  takeOut(cut: Cut, topics: ReadonlySet<string>): void;
  /** The topics of the cut that the brokers, asked anew, say do not exist; none when they cannot be asked. */
  missingTopics(cut: Cut): Promise<ReadonlySet<string>>;
  /** As far as is known now. While batches wait for a topic that is missing, it is looked for. */
  isMissing(topic: string): boolean;
  /**
   * Sends all batches and resolves when each is answered without error. Retries what is retriable for ever, with
   * identical bytes and sequence. Rejects with KafkaError when the transaction must be aborted (epoch fenced, sequence
   * lost, topic missing for long, …), after every request of the cut has come to an end. May be called again for the same cut after
   * `setProducer`: the batches are stamped anew.
   */
  send(cut: Cut): Promise<void>;
  /** The transaction is committed: settles the batches and frees their memory. */
  release(cut: Cut): void;
}
