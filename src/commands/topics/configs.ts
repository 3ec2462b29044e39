/** `-c key=value` of `topics create` and `topics alter`. */
import type { Flag } from "../../config/flag.ts";
import { LogagentError } from "../../errors.ts";

export const configFlag = {
  type: "string",
  alias: "c",
  multiple: true,
  value: "KEY=VALUE",
  description: "Topic configuration, for example retention.ms=86400000",
} as const satisfies Flag;

export const dryRunFlag = {
  type: "boolean",
  alias: "n",
  description: "Let the brokers check everything and change nothing",
} as const satisfies Flag;

/** Throws LogagentError USAGE for an entry without `=`. */
export function parseConfigs(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf("=");
      if (at < 1) throw new LogagentError("USAGE", `--config must be KEY=VALUE; got "${entry}"`);
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}
