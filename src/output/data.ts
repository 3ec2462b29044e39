/** `-o/--output`: the same data as a table, JSON, YAML or only the names. */
import type { Flag } from "../config/flag.ts";
import { printable, printableJson } from "../printable.ts";

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

/**
 * The whole text for stdout. JSON and YAML keep every value and escape what a terminal would obey; names are bare where a
 * program reads them, and made printable on a terminal.
 */
export async function render(
  format: "table" | "json" | "yaml" | "name",
  shown: Shown,
  terminal = process.stdout.isTTY === true,
): Promise<string> {
  switch (format) {
    case "json":
      return `${printableJson(JSON.stringify(shown.value, null, 2))}\n`;
    case "yaml":
      return renderYaml(shown.value);
    case "name":
      return shown.names.map((name) => `${terminal ? printable(name) : name}\n`).join("");
    case "table":
      return shown.table();
  }
}

/**
 * Quoted where a character needs an escape, since the plain scalars of YAML have none, and what YAML 1.1 or 1.2 would read as
 * something else than text: on, 1_000, 2024-01-01.
 */
async function renderYaml(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  const plain = stringify(value, { compat: "yaml-1.1" });
  if (plain === printableJson(plain)) return plain;
  return printableJson(
    stringify(value, { compat: "yaml-1.1", defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" }),
  );
}
