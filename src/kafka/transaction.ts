/**
 * The coordinator's side of a transaction (KIP-98, before KIP-890): who the producer is, which partitions and group
 * offsets belong to the transaction, and its end. Every step retries for ever what waiting mends, moving coordinators and
 * lost connections included, and throws KafkaError for the rest.
 *
 * Every step may be sent again after a lost response: InitProducerId bumps the epoch once more, the Add… requests and
 * TxnOffsetCommit are idempotent within a transaction, and EndTxn of a transaction that is already complete with the same
 * result answers NONE (TransactionCoordinator.endTransaction, versions ≤ 4).
 */
import { LogagentError } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, type Random, sleep } from "../runtime.ts";
import type { ApiRequest, KafkaClient } from "./client.ts";
import { codes, errorInfo, KafkaError } from "./errors.ts";
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  type GroupOffset,
  initProducerId,
  offsetFetch,
  type ProducerIdentity,
  type TopicPartition,
  txnOffsetCommit,
} from "./transaction-requests.ts";

export type { GroupOffset, ProducerIdentity, TopicPartition } from "./transaction-requests.ts";

export interface TransactionOptions {
  transactionalId: string;
  /** transaction.timeout.ms, milliseconds. */
  timeoutMs: number;
}

export interface TransactionEnvironment {
  client: KafkaClient;
  clock: Clock;
  random: Random;
  log: Log;
  /** Ends every wait; the step that waited throws the signal's reason. */
  signal?: AbortSignal;
}

export interface TransactionCoordinator {
  /** Fences other holders of the id, resolves their pending transaction and bumps the epoch. */
  init(): Promise<ProducerIdentity>;
  /** Makes the partitions part of the transaction, before anything is produced to them. */
  addPartitions(producer: ProducerIdentity, partitions: readonly TopicPartition[]): Promise<void>;
  /** Commits the offsets of `group` as part of the transaction. */
  commitOffsets(producer: ProducerIdentity, group: string, offsets: readonly GroupOffset[]): Promise<void>;
  end(producer: ProducerIdentity, commit: boolean): Promise<void>;
  /** The offsets of `group` that no pending transaction can change any more; -1 where there is none. */
  stableOffsets(group: string, partitions: readonly TopicPartition[]): Promise<GroupOffset[]>;
}

/** Codes that waiting mends here although the protocol's table calls them final elsewhere. */
const waitable: ReadonlySet<number> = new Set([
  codes.UNSTABLE_OFFSET_COMMIT,
  codes.CONCURRENT_TRANSACTIONS,
  codes.UNKNOWN_TOPIC_OR_PARTITION,
]);

/** Errors of the program's own list that no wait mends. */
const final: ReadonlySet<string> = new Set(["AUTHENTICATION", "AUTHORIZATION", "CONFIG", "BUG"]);

export function createTransactionCoordinator(
  options: TransactionOptions,
  environment: TransactionEnvironment,
): TransactionCoordinator {
  const { transactionalId, timeoutMs } = options;

  const transact = <T>(what: string, request: ApiRequest<T>, code: (answer: T) => number) =>
    untilAnswered(environment, "transaction", transactionalId, what, request, code);

  const ofGroup = <T>(group: string, what: string, request: ApiRequest<T>, code: (answer: T) => number) =>
    untilAnswered(environment, "group", group, what, request, code);

  const itself = (code: number) => code;

  return {
    async init() {
      const { id, epoch } = await transact(
        `claiming the transactional id "${transactionalId}"`,
        initProducerId(transactionalId, timeoutMs, null),
        (answer) => answer.errorCode,
      );
      return { id, epoch };
    },

    async addPartitions(producer, partitions) {
      const request = addPartitionsToTxn(transactionalId, producer, partitions);
      await transact(`adding ${partitions.length} partitions to the transaction`, request, itself);
    },

    async commitOffsets(producer, group, offsets) {
      await transact(
        `adding the group "${group}" to the transaction`,
        addOffsetsToTxn(transactionalId, producer, group),
        itself,
      );
      const request = txnOffsetCommit(transactionalId, group, producer, offsets);
      await ofGroup(group, `committing the offsets of the group "${group}" in the transaction`, request, itself);
    },

    async end(producer, commit) {
      const what = commit ? "committing the transaction" : "aborting the transaction";
      await transact(what, endTxn(transactionalId, producer, commit), itself);
    },

    async stableOffsets(group, partitions) {
      const what = `fetching the stable offsets of the group "${group}"`;
      const answer = await ofGroup(group, what, offsetFetch(group, partitions, true), (a) => a.errorCode);
      return answer.offsets;
    },
  };
}

/** One request to a coordinator, until it is answered with success or with something no wait mends. */
async function untilAnswered<T>(
  { client, clock, random, log, signal }: TransactionEnvironment,
  kind: "group" | "transaction",
  key: string,
  what: string,
  request: ApiRequest<T>,
  codeOf: (answer: T) => number,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    let trouble: string;
    let quick = false;
    try {
      const answer = await client.send(await client.coordinatorOf(kind, key), request);
      const code = codeOf(answer);
      if (code === 0) return answer;
      const info = errorInfo(code);
      if (!info.retriable && !waitable.has(code)) throw new KafkaError(code, what);
      if (info.refreshCoordinator) client.forgetCoordinator(kind, key);
      // The previous transaction's markers are usually written within milliseconds (FACTS 10).
      quick = code === codes.CONCURRENT_TRANSACTIONS || code === codes.UNSTABLE_OFFSET_COMMIT;
      trouble = info.name;
    } catch (error) {
      if (isFinal(error)) throw error;
      client.forgetCoordinator(kind, key);
      trouble = error instanceof Error ? error.message : String(error);
    }
    log.debug(`${what}: trying again`, { attempt, trouble });
    await sleep(clock, pause(attempt, quick, random), signal);
  }
}

function isFinal(error: unknown): boolean {
  if (error instanceof KafkaError) return !error.retriable && !waitable.has(error.code);
  return error instanceof LogagentError && final.has(error.code);
}

/** Milliseconds: 2 → 50 for what ends by itself soon, 50 → 1000 for the rest, with jitter. */
function pause(attempt: number, quick: boolean, random: Random): number {
  const [first, last] = quick ? [2, 50] : [50, 1000];
  return Math.min(last, first * 2 ** Math.min(attempt, 10)) * (0.75 + random() / 2);
}
