/** `logagent groups delete GROUP…` */
import { connectionFlags } from "../../config/flags.ts";
import { outputFlag } from "../../output/data.ts";
import { defineCommand } from "../define.ts";
import { type Result, reportResults } from "../results.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "groups delete",
  description: "Delete groups without members, with their committed offsets.",
  words: { name: "GROUP", required: true, many: true },
  flags: {
    ifExists: { type: "boolean", description: "A group that does not exist is no failure" },
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent groups delete readers"],
  run: ({ flags, words, log }) =>
    withClient({ flags, log }, async (client) => {
      const { deleteGroup } = await import("../../kafka/admin/groups.ts");
      const { codes, KafkaError } = await import("../../kafka/protocol/errors.ts");
      const results: Result[] = [];
      for (const name of new Set(words)) {
        const result = { name, errorCode: 0, message: null, done: "deleted" };
        try {
          await deleteGroup(client, name);
        } catch (error) {
          if (!(error instanceof KafkaError)) throw error;
          const excused = flags.ifExists && error.code === codes.GROUP_ID_NOT_FOUND;
          if (excused) result.done = "does not exist";
          else result.errorCode = error.code;
        }
        results.push(result);
      }
      return reportResults("group", results, flags.output);
    }),
});
