import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import type { ClusterMetadata } from "../cluster/client.ts";
import type { PartitionState } from "./partition-state.ts";

/**
 * What is left to read when topics were deleted and created again, which their ids tell. Who follows goes on at the
 * beginning, since all of the new topic came after what was read of the old one; partitions it does not have are let go.
 * Throws LogagentError (BROKER_REFUSED) for who reads up to an end, which was one of the old topic.
 */
export function afterRecreation(
  states: readonly PartitionState[],
  metadata: ClusterMetadata,
  log: Log,
): PartitionState[] {
  const topics = new Map(metadata.topics.map((topic) => [topic.name, topic]));
  return states.filter((state) => {
    const found = topics.get(state.topic);
    if (!found?.topicId || state.topicId === null || found.topicId === state.topicId) return true;
    const what = "was deleted and created again";
    if (state.end < Number.POSITIVE_INFINITY) {
      throw new LogagentError("BROKER_REFUSED", `reading topic "${state.topic}": it ${what} meanwhile`);
    }
    const partition = `${state.topic}/${state.partition}`;
    if (!found.partitions.some((other) => other.partition === state.partition)) {
      log.warn(`the topic ${what} without the partition`, { partition });
      return false;
    }
    log.warn(`the topic ${what}, going on at its beginning`, { partition, from: state.offset, to: 0 });
    state.topicId = found.topicId;
    state.offset = 0;
    state.readyAt = 0;
    return true;
  });
}
