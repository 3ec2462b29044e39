/** Bytes on disk: DescribeLogDirs (KIP-113), asked of every broker because each knows only its own. */
import type { KafkaClient } from "../cluster/client.ts";

export interface ReplicaSize {
  topic: string;
  partition: number;
  node: number;
  /** Bytes of all segments. */
  size: number;
}

/** Version 1. Brokers that do not answer or refuse are left out: their sizes are unknown. */
export async function replicaSizes(
  client: KafkaClient,
  nodes: readonly number[],
  topics: readonly { name: string; partitions: readonly number[] }[],
): Promise<ReplicaSize[]> {
  const answers = await Promise.all(nodes.map((node) => ask(client, node, topics).catch(() => [])));
  return answers.flat();
}

function ask(
  client: KafkaClient,
  node: number,
  topics: readonly { name: string; partitions: readonly number[] }[],
): Promise<ReplicaSize[]> {
  return client.send(node, {
    name: "DescribeLogDirs",
    key: 35,
    version: 1,
    body: (w) =>
      w.array(topics, ({ name, partitions }) => w.string(name).array(partitions, (partition) => w.int32(partition))),
    parse(r) {
      r.int32();
      const sizes: ReplicaSize[] = [];
      r.array(() => {
        r.int16();
        r.string();
        r.array(() => {
          const topic = r.string();
          r.array(() => {
            const partition = r.int32();
            const size = r.number64();
            r.int64();
            // A future replica is a copy that is being moved between directories.
            if (!r.boolean()) sizes.push({ topic, partition, node, size });
          });
        });
      });
      return sizes;
    },
  });
}
