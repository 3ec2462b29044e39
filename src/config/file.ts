/**
 * Reads `logagent.yaml`. Every key is the name of a flag of `tail` with `_` for `-`; the sections are
 *
 *     connection: { brokers, tls_ca, … }      producer: { acks, compression, … }
 *     delivery, state, drain_timeout, …       (top level: the agent's own)
 *     defaults: { topic, key, … }             for every input
 *     inputs: { web: { paths, topic, … }, cron: /var/log/cron.log }
 */
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { expand } from "./expand.ts";
import { fieldSchema } from "./field-schema.ts";
import { type Flags, flagName } from "./flag.ts";
import { connectionFlags, logFlags, producerFlags } from "./flags.ts";
import { inputFlags } from "./input-flags.ts";
import type { Problem } from "./problems.ts";
import { nearest } from "./suggest.ts";
import { agentFlags } from "./tail-flags.ts";
import { parseYaml } from "./yaml.ts";

type Values = Record<string, unknown>;

/** What the file says, variables replaced, each value parsed as the flag of its name (camelCase keys). Wrong values are left out. */
export interface ConfigFile {
  /** As it was named. */
  path: string;
  /** Of connection, producer and the top level. */
  settings: Values;
  defaults: Values;
  inputs: Map<string, { paths: string[]; settings: Values }>;
  problems: Problem[];
  /** Values that a comment without a space behind its # follows: perhaps the rest of the value. */
  comments: readonly { path: readonly string[]; text: string }[];
  /** Line of a key, or of its nearest existing parent; null for an empty file. */
  lineOf(path: readonly string[]): number | null;
}

const { delivery, ...producerRest } = producerFlags;

/** The flags that are keys of the section `producer`. */
export const producerSection: Flags = producerRest;
/** Of `connection`. */
export const connectionSection = Object.fromEntries(
  Object.entries(connectionFlags).filter(([key]) => !Object.hasOwn(logFlags, key)),
) as Flags;
/** Of the top level. */
export const agentSection: Flags = { delivery, ...agentFlags };
const sections = ["connection", "producer", "defaults", "inputs"];

/** Variables come from `env`. A file that cannot be read is a problem like any other. */
export function readConfigFile(file: string, env: Record<string, string | undefined>): ConfigFile {
  const problems: Problem[] = [];
  let content = "";
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    problems.push({ file, line: null, where: "", message: `cannot be read: ${(error as Error).message}` });
  }
  const { value, lineOf, comments } = parseYaml(content, (line, message) =>
    problems.push({ file, line, where: "", message }),
  );
  const problem = (path: readonly string[], message: string) =>
    problems.push({ file, line: lineOf(path), where: path.join("."), message });
  const result: ConfigFile = { path: file, settings: {}, defaults: {}, inputs: new Map(), problems, comments, lineOf };
  if (problems.length > 0) return result;

  const root = asMap(expand(value ?? {}, env, problem), [], problem);
  const ownKeys = [...sections, ...keysOf(agentSection)];
  for (const key of Object.keys(root).filter((key) => !ownKeys.includes(key))) {
    const home = homeOf(key);
    if (home === null) unknown([], key, ownKeys, problem);
    else problem([key], `does not stand at the top level; it belongs ${home}`);
  }
  result.settings = {
    ...section(root.connection, ["connection"], connectionSection, problem),
    ...section(root.producer, ["producer"], producerSection, problem),
    ...section(pick(root, keysOf(agentSection)), [], agentSection, problem),
  };
  result.defaults = section(root.defaults, ["defaults"], inputFlags, problem);
  if (Array.isArray(root.inputs)) {
    const shape =
      "is a mapping of names to inputs, not a list; write `inputs:` and below it `web: { paths: /var/log/web.log, topic: web }`";
    problem(["inputs"], shape);
    return result;
  }
  for (const [name, value] of Object.entries(asMap(root.inputs ?? {}, ["inputs"], problem))) {
    result.inputs.set(name, input(value, ["inputs", name], problem));
  }
  return result;
}

/** Where a key that is unknown at the top level belongs; null: nowhere. */
function homeOf(key: string): string | null {
  if (keysOf(inputFlags).includes(key) || key === "paths")
    return key === "paths" ? "in an input" : "in an input or in `defaults`";
  if (keysOf(connectionSection).includes(key)) return "in `connection`";
  return keysOf(producerSection).includes(key) ? "in `producer`" : null;
}

type Report = (path: readonly string[], message: string) => void;

/** `{ paths, … }`, or only the path or paths. */
function input(value: unknown, path: readonly string[], problem: Report): { paths: string[]; settings: Values } {
  const short = typeof value === "string" || Array.isArray(value);
  const { paths, ...rest } = short ? { paths: value } : asMap(value, path, problem);
  const list = (Array.isArray(paths) ? paths : paths === undefined || paths === null ? [] : [paths]) as unknown[];
  const good = list.filter((item): item is string => typeof item === "string" && item !== "");
  if (good.length < list.length)
    problem(short ? path : [...path, "paths"], "must be paths or globs, each a text that is not empty");
  else if (list.length === 0) problem(path, "has no paths; give `paths:` one path or glob, or a list of them");
  return { paths: good, settings: section(rest, path, inputFlags, problem, ["paths"]) };
}

function section(value: unknown, path: readonly string[], flags: Flags, problem: Report, more: string[] = []): Values {
  const values: Values = {};
  const byName = new Map(Object.entries(flags).map(([key, flag]) => [fileKey(key), { key, flag }]));
  for (const [name, raw] of Object.entries(asMap(value ?? {}, path, problem))) {
    const known = byName.get(name);
    if (!known) {
      unknown(path, name, [...byName.keys(), ...more], problem);
    } else if (raw !== null) {
      const read = v.safeParse(
        fieldSchema(known.flag),
        known.key === "header" ? headerList(raw) : bareText(known.key, raw),
      );
      if (read.success) values[known.key] = read.output;
      else problem([...path, name], [...new Set(read.issues.map((issue) => issue.message))].join("; "));
    }
  }
  return values;
}

/** `header: { host: "{host}" }` is written as on the command line: `["host={host}"]`. */
function headerList(raw: unknown): unknown {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  return Object.entries(raw).map(([name, value]) => (typeof value === "string" ? `${name}=${value}` : value));
}

/** `create_topic: 16` and `from: -100` are numbers in YAML. */
function bareText(key: string, raw: unknown): unknown {
  return typeof raw === "number" && (key === "createTopic" || key === "from") ? String(raw) : raw;
}

function unknown(path: readonly string[], name: string, known: readonly string[], problem: Report): void {
  const hint = nearest(name, known);
  const secret = name.includes("password") || name.includes("secret");
  const where = [...path, name];
  if (secret && !known.includes(name)) {
    problem(
      where,
      "secrets are not kept in this file; use sasl_password_file, or the environment's LOGAGENT_SASL_PASSWORD",
    );
  } else {
    problem(where, `unknown key${hint ? `. Did you mean ${hint}?` : `; there are ${known.join(", ")}`}`);
  }
}

function asMap(value: unknown, path: readonly string[], problem: Report): Values {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Values;
  problem(path, "must be a mapping of keys to values");
  return {};
}

function pick(values: Values, keys: readonly string[]): Values {
  return Object.fromEntries(Object.entries(values).filter(([key]) => keys.includes(key)));
}

function keysOf(flags: Flags): string[] {
  return Object.keys(flags).map(fileKey);
}

/** `tlsCa` → `tls_ca`. */
export function fileKey(key: string): string {
  return flagName(key).replaceAll("-", "_");
}
