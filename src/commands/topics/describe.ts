/** `logagent topics describe TOPIC…` */

import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { LogagentError } from "../../errors.ts";
import type { KafkaClient, TopicMetadata } from "../../kafka/cluster/client.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatFacts, formatTable, humanBytes } from "../../output/table.ts";
import { complain } from "../complain.ts";
import { defineCommand } from "../define.ts";
import { kafkaExitCode, kafkaFailure } from "../kafka-exit-code.ts";
import { withClient } from "../with-client.ts";
import { hasProblem, healthFlags } from "./health.ts";

/** Shown also when they are Kafka's defaults. */
const always = [
  "cleanup.policy",
  "retention.ms",
  "retention.bytes",
  "segment.bytes",
  "segment.ms",
  "min.insync.replicas",
  "max.message.bytes",
];

export default defineCommand({
  name: "topics describe",
  description: "Show partitions, leaders, replicas, in-sync replicas, offsets, sizes and configuration of topics.",
  words: { name: "TOPIC", required: true, many: true },
  flags: {
    output: outputFlag,
    allConfigs: {
      type: "boolean",
      description: "Show every configuration, not only what differs from Kafka's defaults",
    },
    ...healthFlags,
    ...connectionFlags,
  },
  examples: ["logagent topics describe web_log", "logagent topics describe web_log -o json"],
  run({ flags, words, log }) {
    words.forEach(checkTopicName);
    return withClient({ flags, log }, async (client) => {
      const { topics, brokers } = await client.metadata(words);
      const found = topics.filter(({ errorCode }) => errorCode === 0);
      const nodes = brokers.map(({ nodeId }) => nodeId);
      let lacking = 0;
      const lacks = (topic: string, error: LogagentError) => {
        complain(`describing the configuration of topic "${topic}": ${error.message}`);
        lacking = error.exitCode;
      };
      const shown = await Promise.all(found.map((topic) => describe(client, nodes, topic, flags, lacks)));
      process.stdout.write(
        await render(flags.output, {
          value: shown,
          table: () => shown.map(asText).join("\n"),
          names: found.map(({ name }) => name),
        }),
      );
      const missing = topics.filter(({ errorCode }) => errorCode !== 0);
      for (const { name, errorCode } of missing) {
        complain(
          `describing topic "${name}": ${kafkaFailure(errorCode)}; \`logagent topics list\` shows what there is`,
        );
      }
      return missing.length === 0 ? lacking : Math.max(...missing.map(({ errorCode }) => kafkaExitCode(errorCode)));
    });
  },
});

type Asked = { allConfigs: boolean; underReplicated: boolean; offline: boolean };
type Description = Awaited<ReturnType<typeof describe>>;

/** `lacks` is told where the broker offers no configuration: the rest is shown. */
async function describe(
  client: KafkaClient,
  nodes: readonly number[],
  topic: TopicMetadata,
  flags: Asked,
  lacks: (topic: string, error: LogagentError) => void,
) {
  const [{ describeTopicConfigs }, { replicaSizes }, { listOffsets }] = await Promise.all([
    import("../../kafka/admin/configs.ts"),
    import("../../kafka/admin/log-dirs.ts"),
    import("../../kafka/cluster/list-offsets.ts"),
  ]);
  const withLeader = topic.partitions.filter(({ leader }) => leader >= 0);
  const items = withLeader.map(({ partition }) => ({ topic: topic.name, partition }));
  const unknown = new Map<string, Error>();
  const offsets = (query: "start" | "end") => listOffsets(client, items, query, "read-uncommitted", 10_000, unknown);
  const [starts, ends, sizes, configs] = await Promise.all([
    offsets("start"),
    offsets("end"),
    replicaSizes(client, nodes, [{ name: topic.name, partitions: topic.partitions.map(({ partition }) => partition) }]),
    describeTopicConfigs(client, topic.name).catch((error) => {
      if (!(error instanceof LogagentError) || error.code !== "BROKER_REFUSED") throw error;
      lacks(topic.name, error);
      return [];
    }),
  ]);
  const at = (list: typeof starts, partition: number) =>
    unknown.has(`${topic.name}/${partition}`)
      ? null
      : (list.find((item) => item.partition === partition)?.offset ?? null);
  const partitions = [...topic.partitions]
    .sort((a, b) => a.partition - b.partition)
    .filter((partition) => !hasProblem.asked(flags) || hasProblem.matches(flags, partition))
    .map(({ partition, leader, leaderEpoch, replicas, isr, offline }) => {
      const start = at(starts, partition);
      const end = at(ends, partition);
      const own = sizes.find((size) => size.partition === partition && size.node === leader);
      return {
        partition,
        leader: leader < 0 ? null : leader,
        leaderEpoch,
        replicas,
        isr,
        offline,
        startOffset: start,
        endOffset: end,
        messages: start === null || end === null ? null : end - start,
        bytes: own?.size ?? null,
      };
    });
  return {
    topic: topic.name,
    topicId: topic.topicId,
    internal: topic.isInternal,
    partitionCount: topic.partitions.length,
    replication: topic.partitions[0]?.replicas.length ?? 0,
    messages: sum(partitions.map(({ messages }) => messages)),
    bytes: sum(partitions.map(({ bytes }) => bytes)),
    partitions,
    configs: [...configs]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .filter(({ name, source }) => flags.allConfigs || source !== "default" || always.includes(name))
      .map(({ name, value, source, sensitive }) => ({ name, value: sensitive ? null : value, source })),
  };
}

function asText(topic: Description): string {
  const head = formatFacts([
    ["Topic", `${topic.topic}${topic.internal ? " (internal)" : ""}`],
    ["Partitions", topic.partitionCount],
    ["Replication", topic.replication],
    ["Messages", topic.messages ?? "unknown"],
    ["Size", topic.bytes === null ? "unknown" : humanBytes(topic.bytes)],
  ]);
  const partitions = formatTable(
    ["PARTITION", "LEADER", "REPLICAS", "ISR", "START", "END", "MESSAGES", "SIZE"],
    topic.partitions.map((p) => [
      p.partition,
      p.leader,
      p.replicas.join(","),
      p.isr.join(","),
      p.startOffset,
      p.endOffset,
      p.messages,
      p.bytes === null ? null : humanBytes(p.bytes),
    ]),
  );
  const configs = formatTable(
    ["CONFIG", "VALUE", "SOURCE"],
    topic.configs.map(({ name, value, source }) => [name, value, source]),
  );
  return `${head}\n${partitions}\n${configs}`;
}

/** Null when one of them is unknown. */
function sum(values: readonly (number | null)[]): number | null {
  return values.reduce<number | null>((total, value) => (total === null || value === null ? null : total + value), 0);
}
