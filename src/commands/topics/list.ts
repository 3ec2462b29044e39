/** `logagent topics list` */
import { connectionFlags } from "../../config/flags.ts";
import { defineCommand } from "../define.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "topics list",
  description: "List topics",
  flags: {
    output: {
      type: "choice",
      alias: "o",
      options: ["table", "json", "yaml", "name"],
      default: "table",
      description: "Form of the output",
    },
    internal: { type: "boolean", description: "Also show internal topics" },
    ...connectionFlags,
  },
  examples: ["logagent topics list", "logagent topics list -b kafka-1:9092 -o json"],
  run: (context) =>
    withClient(context, async (client) => {
      const { topics } = await client.metadata(null);
      const shown = topics.filter((topic) => context.flags.internal || !topic.isInternal);
      for (const topic of shown) process.stdout.write(`${topic.name}\n`);
    }),
});
