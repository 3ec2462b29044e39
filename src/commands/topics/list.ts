/** `logagent topics list` */
import { connectionFlags } from "../../config/flags.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatTable } from "../../output/table.ts";
import { defineCommand } from "../define.ts";
import { withClient } from "../with-client.ts";
import { hasProblem, health, healthFlags } from "./health.ts";

export default defineCommand({
  name: "topics list",
  description: "List the topics of the cluster.",
  flags: {
    output: outputFlag,
    internal: { type: "boolean", description: "Also show internal topics" },
    ...healthFlags,
    ...connectionFlags,
  },
  examples: [
    "logagent topics list",
    "logagent topics list -b kafka-1:9092 -o json",
    "logagent topics list --under-replicated",
  ],
  run: (context) =>
    withClient(context, async (client) => {
      const { internal, output, ...flags } = context.flags;
      const { topics } = await client.metadata(null);
      const rows = topics
        .filter((topic) => internal || !topic.isInternal)
        .filter((topic) => !hasProblem.asked(flags) || topic.partitions.some((p) => hasProblem.matches(flags, p)))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map((topic) => ({
          topic: topic.name,
          partitions: topic.partitions.length,
          replication: topic.partitions[0]?.replicas.length ?? 0,
          internal: topic.isInternal,
          ...health(topic.partitions),
        }));
      process.stdout.write(
        await render(output, {
          value: rows,
          table: () =>
            formatTable(
              ["TOPIC", "PARTITIONS", "REPLICATION", "UNDER-REPLICATED", "OFFLINE"],
              rows.map((row) => [row.topic, row.partitions, row.replication, row.underReplicated, row.offline]),
            ),
          names: rows.map((row) => row.topic),
        }),
      );
    }),
});
