/** `logagent check FILE`: everything that is wrong with a config file, at once. */
import { logFlags } from "../config/flags.ts";
import { printable } from "../printable.ts";
import { complain } from "./complain.ts";
import { defineCommand } from "./define.ts";

export default defineCommand({
  name: "check",
  description: "Validate a config file of tail and name everything that is wrong with it, with line numbers.",
  notes:
    "Reads the same environment as tail. Ends with 0 and a summary on stdout, or with 78 and the problems on stderr; what is allowed but surely not meant is a warning there. Connects to nothing.",
  words: { name: "FILE", required: true },
  flags: logFlags,
  examples: ["logagent check /etc/logagent/logagent.yaml"],
  async run({ words }) {
    const { loadAgentConfig } = await import("../config/load-agent.ts");
    const { tailEnvironment } = await import("../config/environment.ts");
    const { withAssumedSecrets } = await import("../config/assumed-secrets.ts");
    const { ConfigError } = await import("../config/problems.ts");
    const { statePathProblem } = await import("../state/path-problem.ts");
    const given = { ...tailEnvironment(process.env), config: words[0]! };
    const config = loadAgentConfig({ given, words: [] }, withAssumedSecrets(process.env));
    for (const warning of config.warnings) complain(`warning: ${warning}`);
    const problem = statePathProblem(config.state);
    if (problem !== null) {
      throw new ConfigError("CONFIG", [{ file: words[0]!, line: null, where: "state", message: problem }]);
    }
    const topics = new Set(config.inputs.map((input) => input.topic));
    process.stdout.write(
      `${printable(words[0]!)}: OK, ${config.inputs.length} input${config.inputs.length === 1 ? "" : "s"} to ${[...topics].join(", ")}\n`,
    );
  },
});
