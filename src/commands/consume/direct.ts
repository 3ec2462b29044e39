/** Reading without a group: explicit partitions from resolved offsets on. */
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import { isTransient } from "../../kafka/cluster/leaders.ts";
import { listOffsets, type TopicPartition } from "../../kafka/cluster/list-offsets.ts";
import { Fetcher, type FetchOptions, nameOf } from "../../kafka/consumer/fetcher.ts";
import { type OffsetRange, resolveOffsets } from "../../kafka/consumer/offset-range.ts";
import { RecordBlock, RecordSetReader } from "../../kafka/record/record-set-reader.ts";
import type { Log } from "../../observe/log.ts";
import { assignPending } from "./pending.ts";
import type { Printer } from "./printer.ts";
import { discoveryDefault, findTopics, partitionsOf, type TopicSelection } from "./topics.ts";

export interface DirectOptions {
  selection: TopicSelection;
  partitions: ReadonlySet<number> | null;
  range: OffsetRange;
  /** Stop at the end as it is at the start. */
  exitAtEnd: boolean;
  fetch: FetchOptions;
  /** Milliseconds without an answer after which a one-shot read gives up, and the start in any case. */
  timeout: number;
  /** See `discoveryDefault`. */
  discoveryInterval?: number;
}

/** Resolves when the range is read, the printer is done or `signal` fires. */
export async function consumeDirect(
  client: KafkaClient,
  options: DirectOptions,
  printer: Printer,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const { isolation } = options.fetch;
  const topics = await findTopics(client, options.selection);
  const partitions = partitionsOf(topics, options.partitions);
  let pending = partitions;
  const unknown = new Map<string, Error>();
  const resolve = async () => {
    const { range, exitAtEnd, timeout } = options;
    unknown.clear();
    const all = await resolveOffsets(client, pending, range, isolation, exitAtEnd, timeout, unknown);
    const refused = [...unknown.values()].find((error) => !isTransient(error));
    if (refused) throw refused;
    const isKnown = (item: TopicPartition) => !unknown.has(nameOf([item]));
    pending = pending.filter((item) => !isKnown(item));
    return all.filter(isKnown);
  };
  const resolved = await resolve();
  const [unknownWhy] = unknown.values();
  if (resolved.length === 0 && unknownWhy) throw unknownWhy;
  warnAboutMissing(options.range, resolved, log);
  const follows = resolved.some(({ end }) => end === Number.POSITIVE_INFINITY);
  const fetcher = new Fetcher(
    client,
    { ...options.fetch, timeout: follows ? Number.POSITIVE_INFINITY : options.timeout },
    log,
  );
  const stop = () => fetcher.close();
  signal.addEventListener("abort", stop, { once: true });
  const discovery = follows ? setInterval(() => void discover(), options.discoveryInterval ?? discoveryDefault) : null;

  const discover = async () => {
    try {
      const found = partitionsOf(await findTopics(client, options.selection), options.partitions);
      const isPending = (item: TopicPartition) => pending.some((other) => nameOf([other]) === nameOf([item]));
      const fresh = found.filter((item) => !fetcher.has(item.topic, item.partition) && !isPending(item));
      if (fresh.length === 0) return;
      // What appeared while following is new as a whole.
      const starts = await listOffsets(client, fresh, "start", isolation, options.timeout);
      // Another look may have been faster.
      const missing = starts.filter(({ topic, partition }) => !fetcher.has(topic, partition));
      fetcher.assign(missing.map((item) => ({ ...item, end: Number.POSITIVE_INFINITY })));
    } catch (error) {
      log.debug(`looking for new partitions: ${(error as Error).message}`);
    }
  };

  const done = new AbortController();
  let failure: Promise<Error | null> = Promise.resolve(null);
  try {
    if (!signal.aborted) fetcher.assign(resolved);
    if (unknownWhy) {
      const timeout = follows ? Number.POSITIVE_INFINITY : options.timeout;
      const wanted = { partitions: [...pending], reason: unknownWhy.message, resolve, timeout };
      failure = assignPending(fetcher, wanted, AbortSignal.any([signal, done.signal]), log);
    }
    const block = new RecordBlock();
    for (let fetched = await fetcher.next(); fetched && !printer.done; fetched = await fetcher.next()) {
      const reader = new RecordSetReader(fetched.records, fetched, block);
      while (!printer.done && !signal.aborted && reader.next()) {
        printer.print(block);
        await printer.breathe(false);
      }
      if (printer.done) break;
      fetched.release();
      await printer.breathe(!fetcher.hasNext);
    }
    done.abort();
    const failed = await failure;
    if (failed && !printer.done) throw failed;
  } finally {
    done.abort();
    if (discovery) clearInterval(discovery);
    signal.removeEventListener("abort", stop);
    fetcher.close();
    await printer.end();
  }
}

function warnAboutMissing(range: OffsetRange, resolved: Awaited<ReturnType<typeof resolveOffsets>>, log: Log): void {
  if (range.from.kind !== "exact") return;
  const { offset: asked } = range.from;
  for (const { topic, partition, logStart, logEnd } of resolved) {
    if (asked >= logStart && asked <= logEnd) continue;
    const to = asked < logStart ? logStart : logEnd;
    log.warn("the partition does not hold the offset", { partition: `${topic}/${partition}`, offset: asked, from: to });
  }
}
