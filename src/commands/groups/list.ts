/** `logagent groups list` */
import { connectionFlags } from "../../config/flags.ts";
import { outputFlag, render } from "../../output/data.ts";
import { formatTable } from "../../output/table.ts";
import { defineCommand } from "../define.ts";
import { withClient } from "../with-client.ts";

export default defineCommand({
  name: "groups list",
  description: "List the consumer groups of the cluster.",
  flags: {
    state: {
      type: "string",
      alias: "s",
      value: "STATE",
      description: "Only groups in this state, for example Stable or Empty",
    },
    output: outputFlag,
    ...connectionFlags,
  },
  examples: ["logagent groups list", "logagent groups list --state Empty -o name"],
  run: (context) =>
    withClient(context, async (client) => {
      const { listGroups } = await import("../../kafka/admin/groups.ts");
      const { state, output } = context.flags;
      const all = await listGroups(client);
      const groups = all.filter((group) => state === undefined || group.state.toLowerCase() === state.toLowerCase());
      process.stdout.write(
        await render(output, {
          value: groups,
          table: () =>
            formatTable(
              ["GROUP", "STATE", "PROTOCOL"],
              groups.map((group) => [group.group, group.state, group.protocolType || null]),
            ),
          names: groups.map(({ group }) => group),
        }),
      );
    }),
});
