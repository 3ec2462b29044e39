/** `logagent check FILE`: everything that is wrong with a config file, at once. */
import { logFlags } from "../config/flags.ts";
import { printable } from "../printable.ts";
import { defineCommand } from "./define.ts";

const secrets = ["LOGAGENT_SASL_PASSWORD", "LOGAGENT_OAUTH_CLIENT_SECRET"];

export default defineCommand({
  name: "check",
  description: "Validate a config file of tail and name everything that is wrong with it, with line numbers.",
  notes: "Ends with 0 and a summary on stdout, or with 78 and the problems on stderr. Connects to nothing.",
  words: { name: "FILE", required: true },
  flags: logFlags,
  examples: ["logagent check /etc/logagent/logagent.yaml"],
  async run({ words }) {
    const { loadAgentConfig } = await import("../config/load-agent.ts");
    // The service's own environment may hold the secrets; this shell need not.
    const env = { ...Object.fromEntries(secrets.map((name) => [name, "unknown here"])), ...process.env };
    const config = loadAgentConfig({ given: { config: words[0]! }, words: [] }, env);
    const topics = new Set(config.inputs.map((input) => input.topic));
    process.stdout.write(
      `${printable(words[0]!)}: OK, ${config.inputs.length} input${config.inputs.length === 1 ? "" : "s"} to ${[...topics].join(", ")}\n`,
    );
  },
});
