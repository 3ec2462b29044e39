/** One-shot questions to the leaders of partitions, asked again while leaders move or brokers are away. */
import { backoff } from "../../backoff.ts";
import { LogagentError } from "../../errors.ts";
import { sleep, systemClock } from "../../runtime.ts";
import { KafkaError } from "../protocol/errors.ts";
import type { KafkaClient } from "./client.ts";

/** Looks at the metadata before a partition counts as without a leader, where the others do not wait for it. */
const triesForLeader = 3;

interface Item {
  topic: string;
  partition: number;
}

interface Failure<T> {
  item: T;
  error: KafkaError;
}

/**
 * Calls `ask` with each leader's partitions, in parallel; it returns those that failed. Retriable failures, partitions
 * without a leader and connection errors are asked again with backoff until `timeout` milliseconds have passed; then the
 * last error is thrown. With `missing`, what cannot be had goes there by its `topic/partition` instead; for a partition that
 * nobody leads that is told soon, since it may be so for days.
 */
export async function withLeaders<T extends Item>(
  client: KafkaClient,
  items: readonly T[],
  timeout: number,
  ask: (node: number, items: T[]) => Promise<Failure<T>[]>,
  missing?: Map<string, Error>,
): Promise<void> {
  const deadline = performance.now() + timeout;
  const key = ({ topic, partition }: Item) => `${topic}/${partition}`;
  let left = [...items];
  for (let failures = 1; left.length > 0; failures++) {
    const byNode = Map.groupBy(left, ({ topic, partition }) => client.leaderOf(topic, partition) ?? -1);
    const failed = new Map<string, Error>();
    const leaderless = byNode.get(-1) ?? [];
    for (const item of leaderless)
      failed.set(key(item), new LogagentError("BROKER_UNAVAILABLE", `${key(item)} has no leader`));
    byNode.delete(-1);
    await Promise.all(
      [...byNode].map(async ([node, group]) => {
        try {
          for (const { item, error } of await ask(node, group)) failed.set(key(item), error);
        } catch (error) {
          for (const item of group) failed.set(key(item), error as Error);
        }
      }),
    );
    left = left.filter((item) => failed.has(key(item)));
    if (left.length === 0) return;
    if (missing) {
      const isLost = (item: T) =>
        !isTransient(failed.get(key(item))) || (failures >= triesForLeader && leaderless.includes(item));
      for (const item of left.filter(isLost)) missing.set(key(item), failed.get(key(item)) as Error);
      left = left.filter((item) => !missing.has(key(item)));
      if (left.length === 0) return;
    }
    const errors = left.map((item) => failed.get(key(item)) as Error);
    const final = errors.find((error) => !isTransient(error));
    if (final) throw final;
    const delay = backoff(failures, Math.random);
    if (performance.now() + delay > deadline) {
      if (!missing) throw errors[0];
      for (const [i, item] of left.entries()) missing.set(key(item), errors[i] as Error);
      return;
    }
    await sleep(systemClock, delay);
    // A failure here is seen by the next round, which still knows the old leaders.
    await client.metadata([...new Set(left.map(({ topic }) => topic))]).catch(() => {});
  }
}

/** What time alone may mend. */
export function isTransient(error: unknown): boolean {
  if (error instanceof KafkaError) return error.retriable || error.info.refreshMetadata;
  return error instanceof LogagentError && error.code === "BROKER_UNAVAILABLE";
}
