/** `logagent config init` */
import { logFlags } from "../../config/flags.ts";
import { defineCommand } from "../define.ts";

export default defineCommand({
  name: "config init",
  description: "Print a commented example of a config file.",
  notes: "What is commented out shows the default or an example.",
  flags: logFlags,
  examples: ["logagent config init > logagent.yaml"],
  async run() {
    const { exampleConfig } = await import("../../config/example.ts");
    process.stdout.write(exampleConfig);
  },
});
