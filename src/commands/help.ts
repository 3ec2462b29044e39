/** Help texts, generated from the same tables that parsing uses. */
import { type Flag, flagName } from "../config/flag.ts";
import { formatDuration, formatSize } from "../config/units.ts";
import type { Command, Group } from "./define.ts";

const WIDTH = 100;
const valueNames = { string: "TEXT", integer: "N", duration: "TIME", size: "SIZE", choice: "", boolean: "" };

export function groupHelp(group: Group): string {
  const names = Object.entries(group.subCommands);
  const column = Math.max(...names.map(([name]) => name.length)) + 4;
  const rows = names.map(([name, sub]) => `  ${name.padEnd(column)}${sub.description}`);
  return [
    group.description,
    "",
    `Usage: ${prefixed(group.name)} <command> [flags]`,
    "",
    "Commands:",
    ...rows,
    "",
    `Help on one of them: ${prefixed(group.name)} <command> --help`,
    ...(group.name === "logagent" ? ["Version and commit:   logagent --version"] : []),
    "",
  ].join("\n");
}

export function commandHelp({ spec }: Command): string {
  const words = spec.words ? ` ${wordUsage(spec.words)}` : "";
  const lines = [spec.description, "", `Usage: ${prefixed(spec.name)}${words} [flags]`, ""];
  if (spec.notes)
    lines.push(
      ...spec.notes
        .trim()
        .split("\n")
        .flatMap((row) => wrap(row, WIDTH)),
      "",
    );
  const groups = new Map<string, [string, Flag][]>();
  for (const entry of Object.entries(spec.flags)) {
    const heading = entry[1].group ?? "Options";
    groups.set(heading, [...(groups.get(heading) ?? []), entry]);
  }
  for (const [heading, flags] of groups)
    lines.push(`${heading}:`, ...flags.flatMap(([key, flag]) => flagRows(key, flag)), "");
  lines.push(...environmentRows(groups));
  if (spec.examples?.length) lines.push("Examples:", ...spec.examples.map((line) => `  ${line}`), "");
  return lines.join("\n");
}

/** `-b, --brokers HOST:PORT,…` */
export function flagUsage(key: string, flag: Flag): string {
  const value = flag.value ?? (flag.options && !flag.value ? flag.options.join("|") : valueNames[flag.type]);
  return `${flag.alias ? `-${flag.alias}, ` : "    "}--${flagName(key)}${value && flag.type !== "boolean" ? ` ${value}` : ""}`;
}

function flagRows(key: string, flag: Flag): string[] {
  const left = `  ${flagUsage(key, flag)}`;
  const extra = [
    flag.multiple ? "may be repeated" : "",
    flag.default === undefined || flag.default === "" ? "" : `default ${shown(flag)}`,
  ].filter(Boolean);
  const text = flag.description + (extra.length ? ` (${extra.join("; ")})` : "");
  const column = 34;
  const rows = wrap(text, WIDTH - column).map((row) => " ".repeat(column) + row);
  if (left.length + 2 > column) return [left, ...rows];
  return [left.padEnd(column) + rows[0]!.trimStart(), ...rows.slice(1)];
}

/** Which flags the environment may give, by group where all of a group's can. */
function environmentRows(groups: Map<string, [string, Flag][]>): string[] {
  const whole: string[] = [];
  const single: string[] = [];
  for (const [heading, flags] of groups) {
    if (heading !== "Options" && flags.every(([, flag]) => flag.env)) whole.push(heading);
    else single.push(...flags.filter(([, flag]) => flag.env).map(([key]) => `--${flagName(key)}`));
  }
  if (whole.length + single.length === 0) return [];
  const which = [...(whole.length ? [`all of ${whole.join(", ")}`] : []), ...single].join(", ");
  const text = `From the environment as LOGAGENT_ and the flag's name, --log-level as LOGAGENT_LOG_LEVEL: ${which}.`;
  return ["Environment:", ...wrap(text, WIDTH - 2).map((row) => `  ${row}`), ""];
}

function shown(flag: Flag): string {
  if (flag.type === "duration") return formatDuration(flag.default as number);
  if (flag.type === "size") return formatSize(flag.default as number);
  return String(flag.default);
}

function wordUsage(words: { name: string; required?: boolean; many?: boolean }): string {
  const name = words.many ? `${words.name}…` : words.name;
  return words.required ? name : `[${name}]`;
}

function prefixed(name: string): string {
  return name === "logagent" ? name : `logagent ${name}`;
}

function wrap(text: string, width: number): string[] {
  const rows: string[] = [];
  let row = "";
  for (const word of text.split(" ")) {
    if (row && row.length + word.length + 1 > width) {
      rows.push(row);
      row = word;
    } else {
      row = row ? `${row} ${word}` : word;
    }
  }
  return [...rows, row];
}
