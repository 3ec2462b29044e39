/** `logagent groups describe GROUP…` */
import { connectionFlags } from "../../config/flags.ts";
import { exitCodes } from "../../errors.ts";
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatFacts, formatTable } from "../../output/table.ts";
import { complain } from "../complain.ts";
import { defineCommand } from "../define.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "groups describe",
  description: "Show state, members, committed offsets and lag of groups.",
  words: { name: "GROUP", required: true, many: true },
  flags: { output: outputFlag, ...connectionFlags },
  examples: ["logagent groups describe readers", "logagent groups describe readers -o json"],
  run: ({ flags, words, log }) =>
    withClient({ flags, log }, async (client) => {
      const shown: Description[] = [];
      let code = 0;
      for (const name of new Set(words)) {
        const group = await describe(client, name);
        if (group.state === "Dead" && group.partitions.length === 0) {
          complain(await whyUnknown(client, name));
          code = exitCodes.BROKER_REFUSED;
        } else {
          shown.push(group);
        }
      }
      process.stdout.write(
        await render(flags.output, {
          value: shown,
          table: () => shown.map(asText).join("\n"),
          names: shown.map(({ group }) => group),
        }),
      );
      return code;
    }),
});

/** Groups of another kind than consumers', share groups (KIP-932) above all, have no offsets that belong to one reader. */
async function whyUnknown(client: KafkaClient, name: string): Promise<string> {
  const { listGroups } = await import("../../kafka/admin/groups.ts");
  const listed = (await listGroups(client)).find(({ group }) => group === name);
  if (!listed) return `no such group "${name}"; \`logagent groups list\` shows what there is`;
  const { protocolType, state } = listed;
  return `group "${name}" is a ${protocolType} group (${state}), no consumer group: its members and offsets cannot be shown`;
}

type Description = Awaited<ReturnType<typeof describe>>;

async function describe(client: KafkaClient, group: string) {
  const { describeGroup } = await import("../../kafka/admin/groups.ts");
  const { groupLag } = await import("./lag.ts");
  const { state, protocol, members } = await describeGroup(client, group);
  const owned = members.flatMap((member) => member.partitions.map((item) => ({ ...item, member })));
  const partitions = (await groupLag(client, group, owned)).map((row) => {
    const owner = owned.find(({ topic, partition }) => topic === row.topic && partition === row.partition)?.member;
    return { ...row, memberId: owner?.memberId ?? null, clientId: owner?.clientId ?? null, host: owner?.host ?? null };
  });
  const lag = partitions.reduce((sum, row) => sum + (row.lag ?? 0), 0);
  return { group, state, protocol, members: members.length, lag, partitions };
}

function asText(group: Description): string {
  const head = formatFacts([
    ["Group", group.group],
    ["State", group.state],
    ["Protocol", group.protocol || null],
    ["Members", group.members],
    ["Lag", group.lag],
  ]);
  const rows = group.partitions.map((p) => [p.topic, p.partition, p.committed, p.end, p.lag, p.clientId, p.host]);
  return `${head}\n${formatTable(["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "CLIENT", "HOST"], rows)}`;
}
