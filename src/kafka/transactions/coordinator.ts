/**
 * The coordinator's side of a transaction (KIP-98, before KIP-890): who the producer is, which partitions and group
 * offsets belong to the transaction, and its end.
 *
 * A request whose answer was lost may still be under way in a broker's queue and take effect at any later time. With the
 * producer's present epoch that is harmful: a late TxnOffsetCommit would overwrite the offset of the next transaction, a
 * late EndTxn would commit the next transaction half done, a late AddPartitionsToTxn would open one. So the requests within
 * a transaction are sent again only when they were answered or never written; a lost answer is `UnresolvedError`, and the
 * caller starts over with InitProducerId, whose epoch bump makes every older request void.
 */
import { backoff } from "../../backoff.ts";
import { LogagentError, messageOf } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { type Clock, type Random, sleep, within } from "../../runtime.ts";
import type { ApiRequest, KafkaClient } from "../cluster/client.ts";
import type { TopicPartition } from "../cluster/list-offsets.ts";
import { ConnectionError } from "../network/connection-error.ts";
import type { Cut } from "../producer/sink.ts";
import { codes, errorInfo, KafkaError } from "../protocol/errors.ts";
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  type GroupOffset,
  initProducerId,
  offsetFetch,
  type ProducerIdentity,
  txnOffsetCommit,
} from "../protocol/transactions.ts";

export type { GroupOffset, ProducerIdentity } from "../protocol/transactions.ts";

export interface TransactionOptions {
  transactionalId: string;
  /** The consumer group whose offsets go with the transactions. */
  group: string;
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

/** Steps throw KafkaError for what no wait mends, and (within a transaction) UnresolvedError for a lost answer. */
export interface TransactionCoordinator {
  /** Fences other holders of the id, resolves their pending transaction and bumps the epoch. Retries for ever. */
  init(): Promise<ProducerIdentity>;
  /** Makes the partitions part of the transaction, before anything is produced to them. */
  addPartitions(producer: ProducerIdentity, partitions: readonly TopicPartition[]): Promise<void>;
  /** Makes the group part of the transaction, before its offsets are committed. */
  addGroup(producer: ProducerIdentity): Promise<void>;
  /** Commits offsets as part of the transaction. Topics that are gone are left out unless all are. */
  commitOffsets(producer: ProducerIdentity, offsets: readonly GroupOffset[]): Promise<void>;
  end(producer: ProducerIdentity, commit: boolean): Promise<void>;
  /**
   * Aborts the transaction of a producer that goes away, by a new epoch instead of EndTxn: records that are still on
   * their way to a broker are refused then, while behind an EndTxn they could open a transaction that nobody ends.
   * `signal` ends the tries. Throws KafkaError when the producer was fenced before.
   */
  abandon(producer: ProducerIdentity, signal: AbortSignal): Promise<void>;
  /**
   * All offsets of the group, none of which a pending transaction can change any more; null when that did not come about
   * within `patience` ms. Retries everything else for ever.
   */
  stableOffsets(patience: number): Promise<GroupOffset[] | null>;
}

/** The answer to a request within a transaction was lost: whether it took effect, or still will, is unknown. */
export class UnresolvedError extends Error {
  override readonly name = "UnresolvedError";
}

/** Milliseconds for an answer within a transaction, below its own time-out. */
const answerTimeout = 10_000;

/**
 * How long partitions, or all topics of the offsets, may be unknown before the transaction is begun anew, with those there
 * are by then; milliseconds.
 */
const missingPatience = 3_000;

/** Codes that waiting mends here although the protocol's table calls them final elsewhere. */
const waitable: ReadonlySet<number> = new Set([codes.UNSTABLE_OFFSET_COMMIT, codes.CONCURRENT_TRANSACTIONS]);

/** InitProducerId answers these when two agents claim the id at once; one of them gets it on another try. */
const contested: ReadonlySet<number> = new Set([
  codes.INVALID_PRODUCER_EPOCH,
  codes.PRODUCER_FENCED,
  codes.UNKNOWN_SERVER_ERROR,
]);

/** Errors of the program's own list that no wait mends. */
const final: ReadonlySet<string> = new Set(["AUTHENTICATION", "AUTHORIZATION", "BROKER_REFUSED", "CONFIG", "BUG"]);

export function createTransactionCoordinator(
  options: TransactionOptions,
  environment: TransactionEnvironment,
): TransactionCoordinator {
  const { transactionalId, group, timeoutMs } = options;
  const { clock } = environment;
  const coordinator = { kind: "transaction", key: transactionalId } as const;
  const groupCoordinator = { kind: "group", key: group } as const;
  const within = { once: true };
  const missing = () => ({ code: codes.UNKNOWN_TOPIC_OR_PARTITION, until: clock.monotonic() + missingPatience });

  return {
    async init() {
      const { id, epoch } = await untilAnswered(environment, {
        ...coordinator,
        what: `claiming the transactional id "${transactionalId}"`,
        request: initProducerId(transactionalId, timeoutMs, null),
        code: (answer) => answer.errorCode,
        alsoWaitable: contested,
      });
      return { id, epoch };
    },

    async addPartitions(producer, partitions) {
      const request = addPartitionsToTxn(transactionalId, producer, partitions);
      const what = `adding ${partitions.length} partitions to the transaction`;
      await untilAnswered(environment, { ...coordinator, ...within, what, request, code: itself, missing: missing() });
    },

    async addGroup(producer) {
      const request = addOffsetsToTxn(transactionalId, producer, group);
      const what = `adding the group "${group}" to the transaction`;
      await untilAnswered(environment, { ...coordinator, ...within, what, request, code: itself });
    },

    async commitOffsets(producer, offsets) {
      await untilAnswered(environment, {
        ...groupCoordinator,
        ...within,
        what: `committing the offsets of the group "${group}" in the transaction`,
        request: txnOffsetCommit(transactionalId, group, producer, offsets),
        missing: missing(),
        code(results) {
          const bad = results.map(({ errorCode }) => errorCode).filter((code) => code !== 0);
          const gone = bad.every((code) => code === codes.UNKNOWN_TOPIC_OR_PARTITION);
          return gone && bad.length < results.length ? 0 : (bad[0] ?? 0);
        },
      });
    },

    async end(producer, commit) {
      const request = endTxn(transactionalId, producer, commit);
      const what = commit ? "committing the transaction" : "aborting the transaction";
      await untilAnswered(environment, { ...coordinator, ...within, what, request, code: itself });
    },

    async abandon(producer, signal) {
      await untilAnswered(
        { ...environment, signal },
        {
          ...coordinator,
          what: `giving up the transaction of "${transactionalId}"`,
          request: initProducerId(transactionalId, timeoutMs, producer),
          code: (answer) => answer.errorCode,
        },
      );
    },

    async stableOffsets(patience) {
      const deadline = clock.monotonic() + patience;
      const { errorCode, offsets } = await untilAnswered(environment, {
        ...groupCoordinator,
        what: `fetching the stable offsets of the group "${group}"`,
        request: offsetFetch(group, null, true),
        code: ({ errorCode }) =>
          errorCode === codes.UNSTABLE_OFFSET_COMMIT && clock.monotonic() >= deadline ? 0 : errorCode,
      });
      return errorCode === 0 ? offsets : null;
    },
  };
}

/**
 * For the end of a producer with a transaction that may be open: aborts it, so that it holds no readers back, where the
 * coordinator answers within `patience` ms. One that belongs to another producer by now is left alone.
 */
export async function abandonWithin(
  coordinator: TransactionCoordinator,
  producer: ProducerIdentity,
  clock: Clock,
  patience: number,
): Promise<void> {
  const over = new AbortController();
  const abandoned = coordinator.abandon(producer, over.signal).catch(() => {});
  await within(clock, patience, abandoned);
  over.abort(new Error("the coordinator does not answer"));
}

const itself = (code: number) => code;

interface Step<T> {
  kind: "group" | "transaction";
  key: string;
  /** Completes "… failed". */
  what: string;
  request: ApiRequest<T>;
  code: (answer: T) => number;
  /** Must not be sent a second time when it may be under way still. */
  once?: boolean;
  alsoWaitable?: ReadonlySet<number>;
  /** A code that waiting mends only until this monotonic time, milliseconds. */
  missing?: { code: number; until: number };
}

/** One request to a coordinator, until it is answered with success or with something no wait mends. */
async function untilAnswered<T>(environment: TransactionEnvironment, step: Step<T>): Promise<T> {
  const { client, clock, random, log, signal } = environment;
  const { kind, key, what, once = false } = step;
  const request = once ? { ...step.request, timeout: answerTimeout } : step.request;
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    let trouble: string;
    let quick = false;
    let late = false;
    try {
      const node = await client.coordinatorOf(kind, key);
      const answer = await sendOnce(client, node, request, once, what);
      const code = step.code(answer);
      if (code === 0) return answer;
      const info = errorInfo(code);
      const mends = info.retriable || waitable.has(code) || step.alsoWaitable?.has(code);
      late = code === step.missing?.code && clock.monotonic() >= step.missing.until;
      if (!mends || late) throw new KafkaError(code, what);
      if (info.refreshCoordinator) client.forgetCoordinator(kind, key);
      // The previous transaction's markers are usually written within milliseconds.
      quick = waitable.has(code);
      trouble = info.name;
    } catch (error) {
      if (late || error instanceof UnresolvedError || isFinal(error)) {
        if (error instanceof UnresolvedError) client.forgetCoordinator(kind, key);
        throw error;
      }
      client.forgetCoordinator(kind, key);
      trouble = messageOf(error);
    }
    log.debug(`${what}: trying again`, { attempt, trouble });
    await sleep(clock, quick ? backoff(attempt + 1, random, 1, 50) : backoff(attempt + 1, random), signal);
  }
}

async function sendOnce<T>(
  client: KafkaClient,
  node: number,
  request: ApiRequest<T>,
  once: boolean,
  what: string,
): Promise<T> {
  try {
    return await client.send(node, request);
  } catch (error) {
    const neverWritten = error instanceof ConnectionError && error.stage !== "open";
    if (!once || neverWritten || isFinal(error) || error instanceof KafkaError) throw error;
    throw new UnresolvedError(`${what}: the answer was lost: ${(error as Error).message}`, { cause: error });
  }
}

function isFinal(error: unknown): boolean {
  if (error instanceof KafkaError) return !error.retriable && !waitable.has(error.code);
  return error instanceof LogagentError && final.has(error.code);
}

/** The partitions of a cut, each once. */
export function partitionsOf(cut: Cut): TopicPartition[] {
  const byName = new Map(cut.batches.map(({ topic, partition }) => [`${topic} ${partition}`, { topic, partition }]));
  return [...byName.values()];
}
