import type { Log } from "../../observe/log.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { listOffsets } from "../cluster/list-offsets.ts";
import type { PartitionState } from "./partition-state.ts";

/** Retention deleted what lies at the position, or the log was truncated or made anew: goes on where there is something. */
export async function moveIntoRange(
  client: KafkaClient,
  state: PartitionState,
  timeout: number,
  log: Log,
): Promise<void> {
  const at = async (query: "start" | "end") =>
    (await listOffsets(client, [state], query, "read-uncommitted", timeout))[0]?.offset ?? 0;
  const [start, end] = await Promise.all([at("start"), at("end")]);
  const to = Math.min(Math.max(state.offset, start), end);
  if (to === state.offset) return;
  const what =
    to > state.offset
      ? "records are gone, going on at the start of the log"
      : "the log is shorter than the position, going on at its end";
  log.warn(what, { partition: `${state.topic}/${state.partition}`, from: state.offset, to });
  state.offset = to;
}
