/** `logagent status`: what the state journal says of every file, beside the files as they are now. */
import { logFlags } from "../config/flags.ts";
import { outputFlag, render } from "../output/data.ts";
import { formatFacts, formatTable, humanBytes } from "../output/table.ts";
import { defineCommand } from "./define.ts";
import type { FileStatus } from "./status/read.ts";

export default defineCommand({
  name: "status",
  description: "Show input, position, size and lag of every file that the agent knows, and whether the agent runs.",
  notes: "Reads the state journal only; changes nothing and may run beside the agent.",
  flags: {
    state: { type: "string", value: "FILE", env: "LOGAGENT_STATE", description: "State journal; default as for tail" },
    config: {
      type: "string",
      alias: "c",
      value: "FILE",
      env: "LOGAGENT_CONFIG",
      description: "Config file that names the journal",
    },
    rate: { type: "duration", min: 1, description: "Watch for so long and show acknowledged bytes per second" },
    done: { type: "boolean", description: "Also show files that are complete or gone" },
    output: outputFlag,
    ...logFlags,
  },
  examples: ["logagent status", "logagent status --state ./state.jsonl --rate 5s -o json"],
  async run({ flags }) {
    const { readStatus, statePath } = await import("./status/read.ts");
    const path = statePath(flags.state, flags.config);
    const before = flags.rate === undefined ? null : await readStatus(path);
    if (flags.rate !== undefined) await new Promise((resolve) => setTimeout(resolve, flags.rate));
    const now = await readStatus(path);
    const files = now.files
      .filter((file) => flags.done || file.status !== "done")
      .map((file) => ({ ...file, ...(before ? { bytesPerSecond: rate(file, before.files, flags.rate!) } : {}) }));
    process.stdout.write(
      await render(flags.output, {
        value: { ...now, files },
        table: () => `${head(now)}\n${table(files, before !== null)}`,
        names: files.map(({ path }) => path),
      }),
    );
  },
});

function rate(file: FileStatus, before: readonly FileStatus[], ms: number): number | null {
  const then = before.find(({ key }) => key === file.key);
  return then === undefined ? null : Math.round(((file.position - then.position) * 1000) / ms);
}

function head(status: { agent: string; pid: number | null; state: string; written: string }): string {
  const running = status.pid === null ? "not running" : `running, pid ${status.pid}`;
  return formatFacts([
    ["Agent", `${status.agent} (${running})`],
    ["State", `${status.state}, written ${status.written}`],
  ]);
}

function table(files: readonly (FileStatus & { bytesPerSecond?: number | null })[], withRate: boolean): string {
  const rows = files.map((file) => [
    file.input,
    file.path,
    file.position,
    file.size,
    file.lag,
    ...(withRate ? [file.bytesPerSecond == null ? null : `${humanBytes(file.bytesPerSecond)}/s`] : []),
    file.status,
  ]);
  return formatTable(["INPUT", "FILE", "POSITION", "SIZE", "LAG", ...(withRate ? ["RATE"] : []), "STATUS"], rows);
}
