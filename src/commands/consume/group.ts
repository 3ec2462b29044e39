/**
 * Reading as a member of a group: the coordinator says which partitions, commits say from where. An offset is committed
 * only when stdout has taken the record, so a crash repeats records and never skips one.
 */
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import { isTransient } from "../../kafka/cluster/leaders.ts";
import type { TopicPartition } from "../../kafka/cluster/list-offsets.ts";
import { type Assignment, Fetcher, type FetchOptions } from "../../kafka/consumer/fetcher.ts";
import { GroupMember, type GroupOptions } from "../../kafka/consumer/group-member.ts";
import { type OffsetRange, resolveOffsets } from "../../kafka/consumer/offset-range.ts";
import { positionsOf } from "../../kafka/consumer/offset-reset.ts";
import { RecordBlock, RecordSetReader } from "../../kafka/record/record-set-reader.ts";
import type { Log } from "../../observe/log.ts";
import { sleep, systemClock } from "../../runtime.ts";
import type { Printer } from "./printer.ts";
import { discoveryDefault, findTopics, type TopicSelection } from "./topics.ts";

const commitInterval = 1000;
const retryDelay = 1000;

export interface GroupReadOptions {
  selection: TopicSelection;
  /** For partitions without a committed offset. */
  range: OffsetRange;
  exitAtEnd: boolean;
  fetch: FetchOptions;
  group: GroupOptions;
  timeout: number;
  /** See `discoveryDefault`. Who leads the group looks for new partitions, every member for new topics of a pattern. */
  discoveryInterval?: number;
}

/** Resolves when `signal` fires, the printer is done or, with `exitAtEnd`, every partition that is ours is read. */
export async function consumeGroup(
  client: KafkaClient,
  options: GroupReadOptions,
  printer: Printer,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const member = new GroupMember(client, options.group, log);
  try {
    let finished = false;
    while (!finished && !signal.aborted) {
      try {
        finished = await oneGeneration(client, member, options, printer, signal, log);
      } catch (error) {
        // Whoever was a member once waits for the brokers like any reader that follows.
        const isEnding = options.exitAtEnd || printer.done || signal.aborted;
        if (!member.hasJoined || isEnding || !isTransient(error)) throw error;
        log.warn(`${(error as Error).message}; trying again`);
        await sleep(systemClock, retryDelay, signal);
      }
    }
  } finally {
    await printer.end();
    await member.leave();
  }
}

/** From a join to the next rebalance; true when there is nothing more to read. */
async function oneGeneration(
  client: KafkaClient,
  member: GroupMember,
  options: GroupReadOptions,
  printer: Printer,
  signal: AbortSignal,
  log: Log,
): Promise<boolean> {
  const topics = await findTopics(client, options.selection);
  const names = topics.map(({ name }) => name);
  let failure: Error | null = null;
  let interrupted = false;
  let fetcher: Fetcher | null = null;
  const interrupt = () => {
    interrupted = true;
    fetcher?.close();
  };
  const partitions = await abortable(
    member.join(
      names,
      signal,
      (reason) => {
        if (!interrupted) log.debug(`rebalance of group ${options.group.group}: ${reason}`);
        interrupt();
      },
      (error) => {
        failure ??= error;
        interrupt();
      },
    ),
    signal,
  );
  if (partitions === null) return true;
  log.info("joined the group", { group: options.group.group, partitions: shown(partitions) });
  signal.addEventListener("abort", interrupt, { once: true });
  const signature = signatureOf(topics);
  const discovery = setInterval(async () => {
    const now = await findTopics(client, options.selection).catch(() => null);
    if (now === null) return;
    const isNew = member.looksForPartitions ? signatureOf(now) !== signature : namesOf(now) !== namesOf(topics);
    if (isNew) interrupt();
  }, options.discoveryInterval ?? discoveryDefault);

  /** Per partition: the next offset to read, once all before it was printed. */
  const printed = new Map<string, TopicPartition & { offset: number }>();
  const commitNow = async () => {
    if (printed.size === 0 || printer.gone) return;
    const offsets = [...printed.values()];
    printed.clear();
    await printer.end();
    if (printer.gone) return;
    try {
      await member.commit(offsets);
    } catch (error) {
      for (const item of offsets) {
        const name = `${item.topic}/${item.partition}`;
        if (!printed.has(name)) printed.set(name, item);
      }
      throw error;
    }
  };
  let commits = Promise.resolve();
  const commit = () => {
    commits = commits.catch(() => {}).then(commitNow);
    return commits;
  };
  const committing = setInterval(() => {
    commit().catch((error) => {
      // Brokers may be away for a while; what was printed meanwhile is committed with the next try.
      if (isTransient(error)) return;
      failure ??= error as Error;
      interrupt();
    });
  }, commitInterval);
  try {
    const assignments = await positions(client, member, options, partitions, printed, signal, log);
    fetcher = new Fetcher(client, { ...options.fetch, timeout: Number.POSITIVE_INFINITY }, log);
    if (interrupted || signal.aborted) return false;
    // Without partitions there is nothing to do until the next rebalance.
    if (assignments.length === 0 && !options.exitAtEnd) fetcher.idle();
    fetcher.assign(assignments);
    await readGeneration(fetcher, printer, printed, () => interrupted || signal.aborted);
    if (failure) throw failure;
    return printer.done || !interrupted;
  } finally {
    clearInterval(discovery);
    clearInterval(committing);
    signal.removeEventListener("abort", interrupt);
    fetcher?.close();
    await commit();
  }
}

async function readGeneration(
  fetcher: Fetcher,
  printer: Printer,
  printed: Map<string, TopicPartition & { offset: number }>,
  isInterrupted: () => boolean,
): Promise<void> {
  const block = new RecordBlock();
  for (let fetched = await fetcher.next(); fetched && !printer.done; fetched = await fetcher.next()) {
    const { topic, partition } = fetched;
    const reader = new RecordSetReader(fetched.records, fetched, block);
    const mark = (offset: number) => printed.set(`${topic}/${partition}`, { topic, partition, offset });
    while (!printer.done && !isInterrupted() && reader.next()) {
      const used = printer.print(block);
      mark(used < block.count ? (block.offsets[used] as number) : reader.position);
      await printer.breathe(false);
    }
    if (printer.done || isInterrupted()) return;
    mark(reader.position);
    fetched.release();
    await printer.breathe(!fetcher.hasNext);
  }
}

async function positions(
  client: KafkaClient,
  member: GroupMember,
  options: GroupReadOptions,
  partitions: readonly TopicPartition[],
  printed: Map<string, TopicPartition & { offset: number }>,
  signal: AbortSignal,
  log: Log,
): Promise<Assignment[]> {
  if (partitions.length === 0) return [];
  const [committed, resolved] = await Promise.all([
    member.committed(partitions, signal),
    resolveOffsets(client, partitions, options.range, options.fetch.isolation, options.exitAtEnd, options.timeout),
  ]);
  const found = await positionsOf(client, committed, resolved, options.timeout, log);
  for (const { topic, partition, offset } of found) {
    const name = `${topic}/${partition}`;
    const before = committed.get(name) ?? -1;
    // A reset that is not committed would be made again, from a later end.
    if (before >= 0 && before !== offset) printed.set(name, { topic, partition, offset });
  }
  return found;
}

/** Joining can take as long as a rebalance; a signal does not wait for it. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return null;
  let stop = () => {};
  const aborted = new Promise<null>((resolve) => {
    stop = () => resolve(null);
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    work.catch(() => {});
    signal.removeEventListener("abort", stop);
  }
}

interface TopicShape {
  name: string;
  partitions: readonly unknown[];
}

const namesOf = (topics: readonly TopicShape[]) => topics.map(({ name }) => name).join(",");
const signatureOf = (topics: readonly TopicShape[]) =>
  topics.map(({ name, partitions }) => `${name}:${partitions.length}`).join(",");

function shown(partitions: readonly TopicPartition[]): string {
  const names = partitions.slice(0, 20).map(({ topic, partition }) => `${topic}/${partition}`);
  if (partitions.length > names.length) names.push(`and ${partitions.length - names.length} more`);
  return names.join(" ") || "none";
}
