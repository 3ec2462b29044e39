/** `logagent completion bash|zsh|fish`, generated from the commands' own tables. */
import { LogagentError } from "../errors.ts";
import { defineCommand } from "./define.ts";

const shells = ["bash", "zsh", "fish"] as const;

export default defineCommand({
  name: "completion",
  description: "Print a completion script for bash, zsh or fish.",
  words: { name: "SHELL", required: true },
  flags: {},
  examples: [
    "source <(logagent completion bash)",
    'logagent completion zsh > "$' + '{fpath[1]}/_logagent"',
    "logagent completion fish > ~/.config/fish/completions/logagent.fish",
  ],
  async run({ words }) {
    const shell = shells.find((name) => name === words[0]);
    if (!shell) throw new LogagentError("USAGE", `the shell must be one of ${shells.join(", ")}; got "${words[0]}"`);
    const { completionScript } = await import("./completion/scripts.ts");
    process.stdout.write(await completionScript(shell));
  },
});
