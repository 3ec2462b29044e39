/** `-o/--output`: the same data as a table, JSON, YAML or only the names. */
import type { Flag } from "../config/flag.ts";

export const outputFlag = {
  type: "choice",
  alias: "o",
  options: ["table", "json", "yaml", "name"],
  default: "table",
  env: "LOGAGENT_OUTPUT",
  description: "Form of the output",
} as const satisfies Flag;

export interface Shown {
  /** For json and yaml. */
  value: unknown;
  table: () => string;
  /** One a line for `name`. */
  names: readonly string[];
}

/** The whole text for stdout. */
export async function render(format: "table" | "json" | "yaml" | "name", shown: Shown): Promise<string> {
  switch (format) {
    case "json":
      return `${JSON.stringify(shown.value, null, 2)}\n`;
    case "yaml":
      return (await import("yaml")).stringify(shown.value);
    case "name":
      return shown.names.map((name) => `${name}\n`).join("");
    case "table":
      return shown.table();
  }
}
