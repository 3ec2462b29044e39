/** The health filters of `topics list` and `topics describe`. */
import type { Flags } from "../../config/flag.ts";
import type { PartitionMetadata } from "../../kafka/cluster/client.ts";

export const healthFlags = {
  underReplicated: { type: "boolean", description: "Only partitions with fewer in-sync replicas than replicas" },
  offline: { type: "boolean", description: "Only partitions without a leader" },
} as const satisfies Flags;

interface Asked {
  underReplicated: boolean;
  offline: boolean;
}

const isUnderReplicated = (partition: PartitionMetadata) => partition.isr.length < partition.replicas.length;
const isOffline = (partition: PartitionMetadata) => partition.leader < 0;

/** Number of partitions in trouble. */
export function health(partitions: readonly PartitionMetadata[]): { underReplicated: number; offline: number } {
  return {
    underReplicated: partitions.filter(isUnderReplicated).length,
    offline: partitions.filter(isOffline).length,
  };
}

export const hasProblem = {
  asked: (flags: Asked) => flags.underReplicated || flags.offline,
  matches: (flags: Asked, partition: PartitionMetadata) =>
    (flags.underReplicated && isUnderReplicated(partition)) || (flags.offline && isOffline(partition)),
};
