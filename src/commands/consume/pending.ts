/** Partitions that nobody leads at the start: the others are read, these as soon as somebody does. */
import { backoff } from "../../backoff.ts";
import { LogagentError } from "../../errors.ts";
import type { TopicPartition } from "../../kafka/cluster/list-offsets.ts";
import { type Fetcher, nameOf } from "../../kafka/consumer/fetcher.ts";
import type { ResolvedRange } from "../../kafka/consumer/offset-range.ts";
import type { Log } from "../../observe/log.ts";
import { sleep, systemClock } from "../../runtime.ts";

export interface PendingOptions {
  /** The partitions, as they were asked for. */
  partitions: readonly TopicPartition[];
  /** Why each is unknown, for a message. */
  reason: string;
  /** Asks again; answers for those that are known by now. */
  resolve: () => Promise<ResolvedRange[]>;
  /** Milliseconds after which it is given up; Infinity: never. */
  timeout: number;
}

/**
 * Holds the fetcher open until all are assigned, `signal` fires or the time is over. Returns a LogagentError
 * (BROKER_UNAVAILABLE) then, for when the others are read.
 */
export async function assignPending(
  fetcher: Fetcher,
  { partitions, reason, resolve, timeout }: PendingOptions,
  signal: AbortSignal,
  log: Log,
): Promise<LogagentError | null> {
  const deadline = performance.now() + timeout;
  const left = new Map(partitions.map((item) => [nameOf([item]), item]));
  log.warn(`${reason}; reading the others`, { partitions: nameOf([...left.values()]) });
  fetcher.idle(true);
  try {
    for (let failures = 1; !signal.aborted; failures++) {
      const wait = backoff(failures, Math.random, 200, 2000);
      if (performance.now() + wait > deadline) {
        const what = `reading ${nameOf([...left.values()])}: ${reason} after ${timeout} ms (--timeout)`;
        return new LogagentError("BROKER_UNAVAILABLE", `${what}; the others were read to their end`);
      }
      await sleep(systemClock, wait, signal);
      const found = signal.aborted ? [] : await resolve().catch(() => []);
      for (const item of found) left.delete(nameOf([item]));
      if (found.length > 0) {
        log.info("partitions can be read now", { partitions: nameOf(found) });
        fetcher.assign(found);
      }
      if (left.size === 0) return null;
    }
    return null;
  } finally {
    fetcher.idle(false);
  }
}
