/** `logagent topics offsets TOPIC…` */
import { connectionFlags } from "../../config/flags.ts";
import { checkTopicName } from "../../config/topic-name.ts";
import { exitCodeOf, LogagentError } from "../../errors.ts";
import { KafkaError } from "../../kafka/protocol/errors.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatTable } from "../../output/table.ts";
import { complain } from "../complain.ts";
import { defineCommand } from "../define.ts";
import { kafkaExitCode, kafkaFailure } from "../kafka-exit-code.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "topics offsets",
  description: "Show the first and the next offset of every partition, and the offset of a time.",
  words: { name: "TOPIC", required: true, many: true },
  flags: {
    at: {
      type: "string",
      value: "POINT",
      description: "Also the offset of this point: +N, -N, or @TIME as Unix ms, ISO 8601 or -1h",
    },
    isolation: {
      type: "choice",
      options: ["read-committed", "read-uncommitted"],
      default: "read-uncommitted",
      description: "read-committed ends at the last stable offset",
    },
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent topics offsets web_log", "logagent topics offsets web_log --at @-1h"],
  async run({ flags, words, log }) {
    words.forEach(checkTopicName);
    const { parseOffsets, resolveOffsets } = await import("../../kafka/consumer/offset-range.ts");
    const range = parseOffsets(flags.at ?? "start", Date.now());
    if (range.to !== null) throw new LogagentError("USAGE", `--at must be one point, not a range; got "${flags.at}"`);
    return withClient({ flags, log }, async (client) => {
      const { topics } = await client.metadata(words);
      const partitions = topics.flatMap(({ name, partitions }) =>
        partitions.map(({ partition }) => ({ topic: name, partition })).sort((a, b) => a.partition - b.partition),
      );
      const unknown = new Map<string, Error>();
      const resolved = await resolveOffsets(client, partitions, range, flags.isolation, true, 10_000, unknown);
      const rows = resolved.map(({ topic, partition, offset, logStart, logEnd }) => {
        const known = !unknown.has(`${topic}/${partition}`);
        return {
          topic,
          partition,
          startOffset: known ? logStart : null,
          endOffset: known ? logEnd : null,
          messages: known ? logEnd - logStart : null,
          ...(flags.at === undefined ? {} : { offset: known ? offset : null }),
        };
      });
      const headers = ["TOPIC", "PARTITION", "START", "END", "MESSAGES", ...(flags.at === undefined ? [] : ["OFFSET"])];
      process.stdout.write(
        await render(flags.output, {
          value: rows,
          table: () =>
            formatTable(
              headers,
              rows.map((row) => Object.values(row)),
            ),
          names: [...new Set(rows.map(({ topic }) => topic))],
        }),
      );
      const missing = topics.filter(({ errorCode }) => errorCode !== 0);
      for (const { name, errorCode } of missing) complain(`topic "${name}": ${kafkaFailure(errorCode)}`);
      for (const error of unknown.values()) complain(error.message);
      const failed = [
        ...missing.map(({ errorCode }) => kafkaExitCode(errorCode)),
        ...[...unknown.values()].map(exitCode),
      ];
      return Math.max(0, ...failed);
    });
  },
});

function exitCode(error: Error): number {
  return error instanceof KafkaError ? kafkaExitCode(error.code) : exitCodeOf(error);
}
