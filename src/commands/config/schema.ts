/** `logagent config schema` */
import { logFlags } from "../../config/flags.ts";
import { defineCommand } from "../define.ts";

export default defineCommand({
  name: "config schema",
  description: "Print the JSON Schema (draft 7) of the config file, for editors and checks in CI.",
  flags: logFlags,
  examples: ["logagent config schema > logagent.schema.json"],
  async run() {
    const { configJsonSchema } = await import("../../config/schema.ts");
    process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  },
});
