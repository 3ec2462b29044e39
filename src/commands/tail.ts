/** `logagent tail`: follow files and send every line to Kafka. */
import { loadAgentConfig } from "../config/load-agent.ts";
import { tailFlags } from "../config/tail-flags.ts";
import { heldSignals } from "../runtime.ts";
import { defineCommand } from "./define.ts";

export default defineCommand({
  name: "tail",
  description: "Follow files and send every line to a topic.",
  notes:
    "Files are followed through rotation; positions are kept in the state journal, and a restart goes on where Kafka's acknowledgements ended.",
  words: { name: "PATH|GLOB", many: true },
  flags: tailFlags,
  examples: [
    "logagent tail /var/log/nginx/access.log --topic web_log",
    "logagent tail '/var/log/**/*.log' --topic logs --key '{path}' --create-topic 16",
    "logagent tail --config /etc/logagent/logagent.yaml",
    "logagent tail app.log --topic logs --once",
    "logagent tail app.log --topic logs --dry-run",
  ],
  async run({ given, words, log }) {
    const load = () => loadAgentConfig({ given, words });
    const config = load();
    if (config.dryRun) {
      for (const signal of heldSignals()) process.kill(process.pid, signal);
      const { runDry } = await import("../pipeline/run-dry.ts");
      return runDry(config, log);
    }
    const { runAgent } = await import("../pipeline/run-agent.ts");
    return runAgent(config, load, log);
  },
});
