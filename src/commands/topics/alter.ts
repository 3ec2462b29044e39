/** `logagent topics alter TOPIC…` */
import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { LogagentError } from "../../errors.ts";
import type { ConfigChange } from "../../kafka/admin/configs.ts";
import type { TopicResult } from "../../kafka/admin/topics.ts";
import { outputFlag } from "../../output/data.ts";
import { defineCommand } from "../define.ts";
import { reportResults } from "../results.ts";
import { withClient } from "../with-client.ts";
import { configFlag, dryRunFlag, parseConfigs } from "./configs.ts";

export default defineCommand({
  name: "topics alter",
  description: "Change configurations or add partitions; configurations that are not named stay as they are.",
  notes: "Adding partitions changes where keys go: records of a key before and after may lie in different partitions.",
  words: { name: "TOPIC", required: true, many: true },
  flags: {
    config: configFlag,
    append: { ...configFlag, alias: "a", description: "Add to a list, for example cleanup.policy=compact" },
    subtract: { ...configFlag, alias: "s", description: "Take out of a list" },
    deleteConfig: { type: "string", alias: "d", multiple: true, value: "KEY", description: "Back to the default" },
    partitions: { type: "integer", alias: "p", min: 1, max: 1_000_000, description: "New total number of partitions" },
    dryRun: dryRunFlag,
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent topics alter web_log -c retention.ms=86400000", "logagent topics alter web_log -p 32 --dry-run"],
  run({ flags, words, log }) {
    words.forEach(checkTopicName);
    const changes: ConfigChange[] = [
      ...changesOf("set", flags.config),
      ...changesOf("append", flags.append),
      ...changesOf("subtract", flags.subtract),
      ...flags.deleteConfig.map((name) => ({ name, operation: "delete" as const, value: null })),
    ];
    const { partitions: count, dryRun: validateOnly } = flags;
    if (changes.length === 0 && count === undefined) {
      throw new LogagentError(
        "USAGE",
        "nothing to change; give --config, --append, --subtract, --delete-config or --partitions",
      );
    }
    return withClient({ flags, log }, async (client) => {
      const { alterTopicConfigs } = await import("../../kafka/admin/configs.ts");
      const { createPartitions } = await import("../../kafka/admin/topics.ts");
      const topics = [...new Set(words)];
      const grow = (names: string[], check: boolean) =>
        count === undefined || names.length === 0
          ? Promise.resolve([])
          : createPartitions(
              client,
              names.map((topic) => ({ topic, count })),
              { validateOnly: check },
            );
      const accepted = (results: TopicResult[][], names: string[]) =>
        names.filter((topic) => results.flat().every((r) => r.topic !== topic || r.errorCode === 0));
      // Everything is checked before anything is changed: partitions cannot be taken back.
      const checks = [await grow(topics, true)];
      const sound = accepted(checks, topics);
      const altered =
        changes.length && sound.length ? await alterTopicConfigs(client, sound, changes, validateOnly) : [];
      const grown = validateOnly ? [] : await grow(accepted([altered], sound), false);
      const done = validateOnly ? "would be altered" : "altered";
      const told = topics.map((topic) => ({ name: topic, ...outcome(topic, ...checks, altered, grown), done }));
      return reportResults("topic", told, flags.output);
    });
  },
});

function changesOf(operation: "set" | "append" | "subtract", entries: readonly string[]): ConfigChange[] {
  return Object.entries(parseConfigs(entries)).map(([name, value]) => ({ name, operation, value }));
}

function outcome(topic: string, ...results: TopicResult[][]): { errorCode: number; message: string | null } {
  const failed = results.flat().find((result) => result.topic === topic && result.errorCode !== 0);
  return { errorCode: failed?.errorCode ?? 0, message: failed?.message ?? null };
}
