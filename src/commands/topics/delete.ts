/** `logagent topics delete TOPIC…` */
import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { outputFlag } from "../../output/data.ts";
import { defineCommand } from "../define.ts";
import { reportResults } from "../results.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "topics delete",
  description: "Delete topics and every record in them.",
  words: { name: "TOPIC", required: true, many: true },
  flags: {
    ifExists: { type: "boolean", description: "A topic that does not exist is no failure" },
    dryRun: { type: "boolean", alias: "n", description: "Only say which topics would be deleted" },
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent topics delete old_log", "logagent topics delete a b c --if-exists"],
  run({ flags, words, log }) {
    words.forEach(checkTopicName);
    return withClient({ flags, log }, async (client) => {
      const { deleteTopics } = await import("../../kafka/admin/topics.ts");
      const { codes } = await import("../../kafka/protocol/errors.ts");
      const topics = [...new Set(words)];
      const results = flags.dryRun
        ? (await client.metadata(topics)).topics.map(({ name, errorCode }) => ({
            topic: name,
            errorCode,
            message: null,
          }))
        : await deleteTopics(client, topics);
      const told = results.map(({ topic, errorCode, message }) => {
        const excused = flags.ifExists && errorCode === codes.UNKNOWN_TOPIC_OR_PARTITION;
        const done = excused ? "does not exist" : flags.dryRun ? "would be deleted" : "deleted";
        return { name: topic, errorCode: excused ? 0 : errorCode, message, done };
      });
      return reportResults("topic", told, flags.output);
    });
  },
});
