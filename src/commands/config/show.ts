/** `logagent config show FILE` */
import { logFlags } from "../../config/flags.ts";
import { outputFlag, render } from "../../output/data.ts";
import { defineCommand } from "../define.ts";

export default defineCommand({
  name: "config show",
  description: "Print what a config file and the environment come to, as a config file without secrets.",
  notes: "Settings that have a default are filled in, variables are replaced. A file with mistakes ends with 78.",
  words: { name: "FILE", required: true },
  flags: {
    output: { ...outputFlag, options: ["yaml", "json"], default: "yaml" },
    ...logFlags,
  },
  examples: ["logagent config show logagent.yaml", "logagent config show logagent.yaml -o json"],
  async run({ flags, words }) {
    const { tailEnvironment } = await import("../../config/environment.ts");
    const { loadAgentConfig } = await import("../../config/load-agent.ts");
    const { resolvedConfig } = await import("../../config/resolved.ts");
    const { withAssumedSecrets } = await import("../../config/assumed-secrets.ts");
    const given = tailEnvironment(process.env);
    loadAgentConfig({ given: { ...given, config: words[0]! }, words: [] }, withAssumedSecrets(process.env));
    const value = resolvedConfig(words[0]!, given, process.env);
    process.stdout.write(await render(flags.output, { value, table: () => "", names: [] }));
  },
});
