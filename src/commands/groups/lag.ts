/** Committed offsets beside the ends of the partitions. */
import { committedOffsets } from "../../kafka/admin/groups.ts";
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import { listOffsets } from "../../kafka/cluster/list-offsets.ts";

export interface PartitionLag {
  topic: string;
  partition: number;
  /** Null: nothing is committed. */
  committed: number | null;
  /** Null: the topic or its leader is gone. */
  end: number | null;
  lag: number | null;
}

/** Every partition that has a committed offset or is in `assigned`, sorted. */
export async function groupLag(
  client: KafkaClient,
  group: string,
  assigned: readonly { topic: string; partition: number }[],
): Promise<PartitionLag[]> {
  const committed = await committedOffsets(client, group);
  const id = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`;
  const all = new Map(
    [...assigned, ...committed].map((item) => [id(item), { topic: item.topic, partition: item.partition }]),
  );
  const names = [...new Set([...all.values()].map(({ topic }) => topic))];
  const { topics } = names.length ? await client.metadata(names) : { topics: [] };
  const alive = new Set(
    topics.flatMap(({ name, partitions }) =>
      partitions.filter(({ leader }) => leader >= 0).map(({ partition }) => id({ topic: name, partition })),
    ),
  );
  const items = [...all.values()].filter((item) => alive.has(id(item)));
  const unknown = new Map<string, Error>();
  const listed = await listOffsets(client, items, "end", "read-uncommitted", 10_000, unknown);
  const ends = new Map(listed.filter((item) => !unknown.has(id(item))).map((item) => [id(item), item.offset]));
  return [...all.values()]
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
    .map((item) => {
      const offset = committed.find((c) => id(c) === id(item))?.offset ?? null;
      const end = ends.get(id(item)) ?? null;
      return {
        ...item,
        committed: offset,
        end,
        lag: offset === null || end === null ? null : Math.max(0, end - offset),
      };
    });
}
