/** `logagent topics create TOPIC…` */
import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { outputFlag } from "../../output/data.ts";
import { defineCommand } from "../define.ts";
import { reportResults } from "../results.ts";
import { withClient } from "../with-client.ts";
import { configFlag, dryRunFlag, parseConfigs } from "./configs.ts";

export default defineCommand({
  name: "topics create",
  description: "Create topics.",
  words: { name: "TOPIC", required: true, many: true },
  flags: {
    partitions: {
      type: "integer",
      alias: "p",
      min: 1,
      max: 1_000_000,
      description: "Partitions; default the brokers' own",
    },
    replication: {
      type: "integer",
      alias: "r",
      min: 1,
      max: 32_767,
      description: "Replicas of each; default the brokers' own",
    },
    config: configFlag,
    ifNotExists: { type: "boolean", description: "A topic that exists is no failure" },
    dryRun: dryRunFlag,
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent topics create web_log -p 16 -r 3 -c retention.ms=604800000"],
  run({ flags, words, log }) {
    words.forEach(checkTopicName);
    const configs = parseConfigs(flags.config);
    return withClient({ flags, log }, async (client) => {
      const { createTopics, waitForLeaders } = await import("../../kafka/admin/topics.ts");
      const { codes } = await import("../../kafka/protocol/errors.ts");
      const { partitions = -1, replication = -1, dryRun } = flags;
      const topics = [...new Set(words)].map((topic) => ({ topic, partitions, replication, configs }));
      const results = await createTopics(client, topics, { validateOnly: dryRun });
      for (const { topic, errorCode } of dryRun ? [] : results) {
        if (errorCode === 0) await waitForLeaders(client, topic, 30_000);
      }
      const told = results.map(({ topic, errorCode, message }) => {
        const excused = flags.ifNotExists && errorCode === codes.TOPIC_ALREADY_EXISTS;
        const done = excused ? "exists" : dryRun ? "would be created" : "created";
        return { name: topic, errorCode: excused ? 0 : errorCode, message, done };
      });
      return reportResults("topic", told, flags.output);
    });
  },
});
