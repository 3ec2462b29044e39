import type { Log } from "../../observe/log.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { listOffsets } from "../cluster/list-offsets.ts";
import type { IsolationLevel } from "../protocol/fetch.ts";
import { type OffsetRange, type ResolvedRange, resolveOffsets } from "./offset-range.ts";
import type { Assignment, PartitionState } from "./partition-state.ts";

export interface ResetOptions {
  /** Where to go on from a position behind the log's end: auto.offset.reset of other clients. Null: at the end. */
  reset: OffsetRange | null;
  isolation: IsolationLevel;
  /** Milliseconds for each question. */
  requestTimeout: number;
}

/** Retention deleted what lies at the position, or the log was truncated or made anew: goes on where there is something. */
export async function moveIntoRange(
  client: KafkaClient,
  state: PartitionState,
  options: ResetOptions,
  log: Log,
): Promise<void> {
  const { requestTimeout } = options;
  const at = async (query: "start" | "end") =>
    (await listOffsets(client, [state], query, "read-uncommitted", requestTimeout))[0]?.offset ?? 0;
  const [start, end] = await Promise.all([at("start"), at("end")]);
  if (state.offset > end) {
    const { reset, isolation } = options;
    const [named] = reset ? await resolveOffsets(client, [state], reset, isolation, false, requestTimeout) : [];
    state.offset = sayReset(state, named?.offset ?? end, log);
  } else if (state.offset < start) {
    const [from, to] = [state.offset, start];
    log.warn("records are gone, going on at the start of the log", { partition: nameOf(state), from, to });
    state.offset = to;
  }
}

/**
 * Committed offsets as positions to read from. One behind the log's end, which brokers would only refuse once it is asked
 * for, is that of a log that was truncated or made anew: reading begins where `--offsets` says.
 */
export async function positionsOf(
  client: KafkaClient,
  committed: ReadonlyMap<string, number>,
  resolved: readonly ResolvedRange[],
  timeout: number,
  log: Log,
): Promise<Assignment[]> {
  const offsetOf = (item: Assignment) => committed.get(nameOf(item)) ?? -1;
  // The end that read-committed readers see may lie before the log's own.
  const doubtful = resolved.filter((item) => offsetOf(item) > item.logEnd);
  const ends = doubtful.length === 0 ? [] : await listOffsets(client, doubtful, "end", "read-uncommitted", timeout);
  const beyond = new Set(ends.filter((end, i) => offsetOf(doubtful[i] as Assignment) > end.offset).map(nameOf));
  return resolved.map((item) => {
    const offset = offsetOf(item);
    if (offset < 0) return item;
    return { ...item, offset: beyond.has(nameOf(item)) ? sayReset({ ...item, offset }, item.offset, log) : offset };
  });
}

function sayReset(at: Assignment, to: number, log: Log): number {
  const what = "the log is shorter than the position, going on where --offsets says";
  log.warn(what, { partition: nameOf(at), from: at.offset, to });
  return to;
}

const nameOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`;
