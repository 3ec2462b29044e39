/** `logagent groups reset GROUP` */
import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { exitCodes, LogagentError } from "../../errors.ts";
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import type { OffsetRange } from "../../kafka/consumer/offset-range.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatTable } from "../../output/table.ts";
import { complain } from "../complain.ts";
import { defineCommand } from "../define.ts";
import { kafkaExitCode, kafkaFailure } from "../kafka-exit-code.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "groups reset",
  description: "Move the committed offsets of a group without members.",
  notes:
    "Shows what would change; --execute changes it. Without --topic, every topic that the group has offsets of is moved.",
  words: { name: "GROUP", required: true },
  flags: {
    to: {
      type: "string",
      value: "POINT",
      description: "start, end, N, +N after the start, -N before the end, or @TIME as Unix ms, ISO 8601 or -1h",
    },
    topic: { type: "string", alias: "t", multiple: true, description: "Only this topic" },
    partition: {
      type: "integer",
      alias: "p",
      multiple: true,
      min: 0,
      description: "Only this partition of the topics",
    },
    execute: { type: "boolean", description: "Move the offsets, instead of only showing the plan" },
    output: { ...outputFlag, options: ["table", "json", "yaml"] },
    ...connectionFlags,
  },
  examples: [
    "logagent groups reset readers --to start",
    "logagent groups reset readers --to @-1h --topic web_log --execute",
  ],
  async run({ flags, words, log }) {
    const group = words[0]!;
    flags.topic.forEach(checkTopicName);
    if (flags.to === undefined) throw new LogagentError("USAGE", "--to is missing: where shall the offsets go?");
    const { parseOffsets } = await import("../../kafka/consumer/offset-range.ts");
    const range = parseOffsets(flags.to, Date.now());
    if (range.to !== null) throw new LogagentError("USAGE", `--to must be one point, not a range; got "${flags.to}"`);
    return withClient({ flags, log }, async (client) => {
      const rows = await plan(client, group, flags, range);
      const results = flags.execute ? await execute(client, group, rows) : new Map<string, number>();
      const shown = rows.map((row) => {
        const code = results.get(`${row.topic}/${row.partition}`) ?? 0;
        return { ...row, status: !flags.execute ? "planned" : code === 0 ? "moved" : kafkaFailure(code) };
      });
      process.stdout.write(
        await render(flags.output, {
          value: shown,
          table: () =>
            formatTable(
              ["TOPIC", "PARTITION", "FROM", "TO", "STATUS"],
              shown.map((row) => Object.values(row)),
            ),
          names: [],
        }),
      );
      if (!flags.execute) complain("nothing was changed; give --execute to do it");
      return Math.max(0, ...[...results.values()].filter((code) => code !== 0).map(kafkaExitCode));
    });
  },
});

interface Row {
  topic: string;
  partition: number;
  from: number | null;
  to: number;
}

async function plan(
  client: KafkaClient,
  group: string,
  flags: { topic: readonly string[]; partition: readonly number[] },
  range: OffsetRange,
): Promise<Row[]> {
  const { committedOffsets, describeGroup } = await import("../../kafka/admin/groups.ts");
  const { resolveOffsets } = await import("../../kafka/consumer/offset-range.ts");
  const { state, members } = await describeGroup(client, group);
  if (members.length > 0) {
    throw new LogagentError(
      "BROKER_REFUSED",
      `resetting group "${group}": it is ${state} with ${members.length} members; stop them first`,
    );
  }
  const committed = await committedOffsets(client, group);
  const names = flags.topic.length > 0 ? [...new Set(flags.topic)] : [...new Set(committed.map(({ topic }) => topic))];
  if (names.length === 0) {
    throw new LogagentError(
      "BROKER_REFUSED",
      `resetting group "${group}": it has no offsets; name the topics with --topic`,
    );
  }
  const { topics } = await client.metadata(names);
  const missing = topics.find(({ errorCode }) => errorCode !== 0);
  if (missing) {
    throw new LogagentError(
      kafkaExitCode(missing.errorCode) === exitCodes.AUTHORIZATION ? "AUTHORIZATION" : "BROKER_REFUSED",
      `resetting group "${group}": topic "${missing.name}": ${kafkaFailure(missing.errorCode)}`,
    );
  }
  const items = topics
    .flatMap(({ name, partitions }) => partitions.map(({ partition }) => ({ topic: name, partition })))
    .filter(({ partition }) => flags.partition.length === 0 || flags.partition.includes(partition))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1));
  if (items.length === 0) throw new LogagentError("BROKER_REFUSED", `resetting group "${group}": no such partition`);
  const resolved = await resolveOffsets(client, items, range, "read-uncommitted", true, 10_000);
  return resolved.map(({ topic, partition, offset }) => ({
    topic,
    partition,
    from: committed.find((c) => c.topic === topic && c.partition === partition)?.offset ?? null,
    to: offset,
  }));
}

/** Error codes by `topic/partition`. */
async function execute(client: KafkaClient, group: string, rows: readonly Row[]): Promise<Map<string, number>> {
  const { commitOffsets } = await import("../../kafka/admin/groups.ts");
  const offsets = rows.map(({ topic, partition, to }) => ({ topic, partition, offset: to }));
  const results = await commitOffsets(client, group, offsets);
  return new Map(results.map(({ topic, partition, errorCode }) => [`${topic}/${partition}`, errorCode]));
}
