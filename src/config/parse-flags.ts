/**
 * Reads a command line strictly. citty's own parser lets unknown flags pass and turns a bare `--topic` into "", and
 * `parseArgs` of node:util refuses or swallows values that begin with "-", so flags are read here:
 *
 * - `--flag VALUE`, `--flag=VALUE`, `-f VALUE`, `-fVALUE`, `-f=VALUE`; booleans `--flag`, `--flag=false`, `-ab`.
 * - A value may begin with "-" (`--offsets -5`, `--from -100`) unless it looks like a flag (`--x…`, or a known short flag alone);
 *   `--flag=VALUE` takes anything.
 * - Flags with `multiple` may be given again and are arrays, others may be given once. `--` ends the flags.
 * - A flag that is not given is looked up in its environment variable (an empty one counts as not given).
 */
import { LogagentError } from "../errors.ts";
import { type Flag, type Flags, type FlagValues, flagName } from "./flag.ts";
import { nearest } from "./suggest.ts";
import { parseDuration, parseSize } from "./units.ts";

export interface ParsedLine<F extends Flags> {
  flags: FlagValues<F>;
  given: Partial<FlagValues<F>>;
  words: string[];
}

type Env = Record<string, string | undefined>;
type Raw = Map<string, (string | boolean)[]>;

/** Throws LogagentError USAGE with a suggestion for everything that is not understood. */
export function parseFlags<F extends Flags>(argv: readonly string[], flags: F, env: Env): ParsedLine<F> {
  const { raw, words } = tokenize(argv, flags);
  const given: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(flags)) {
    const name = `--${flagName(key)}`;
    const texts = raw.get(key) ?? fromEnvironment(flag, env);
    if (texts !== undefined) {
      const source = raw.has(key) ? name : flag.env!;
      if (!flag.multiple && texts.length > 1)
        throw usage(`${name} is given ${texts.length} times; it can be given once`);
      const parsed = texts.map((text) => parseValue(source, flag, text));
      given[key] = flag.multiple ? parsed : parsed[0];
    }
    values[key] = given[key] ?? flag.default ?? (flag.multiple ? [] : flag.type === "boolean" ? false : undefined);
  }
  return { flags: values as FlagValues<F>, given: given as Partial<FlagValues<F>>, words };
}

function tokenize(argv: readonly string[], flags: Flags): { raw: Raw; words: string[] } {
  const byName = new Map(Object.keys(flags).map((key) => [flagName(key), key]));
  const byAlias = new Map(Object.entries(flags).flatMap(([key, flag]) => (flag.alias ? [[flag.alias, key]] : [])));
  const raw: Raw = new Map();
  const words: string[] = [];
  let i = 0;

  const add = (key: string, value: string | boolean) => raw.set(key, [...(raw.get(key) ?? []), value]);
  const valueAfter = (shown: string, flag: Flag): string => {
    const next = argv[i + 1];
    if (
      next === undefined ||
      /^--[A-Za-z]/.test(next) ||
      next === "--" ||
      (/^-[A-Za-z]$/.test(next) && byAlias.has(next[1]!))
    ) {
      throw usage(
        `${shown} needs a value${flag.options ? ` (${flag.options.join(", ")})` : ""}; got ${next ?? "the end of the line"}`,
      );
    }
    i++;
    return next;
  };

  for (; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === "--") {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (arg.startsWith("--")) {
      const [name, inline] = split(arg.slice(2));
      const key = byName.get(name);
      if (key === undefined) throw unknownFlag(`--${name}`, byName.keys());
      const flag = flags[key]!;
      add(key, inline ?? (flag.type === "boolean" ? true : valueAfter(`--${name}`, flag)));
    } else if (arg.length > 1 && arg[0] === "-") {
      for (let at = 1; at < arg.length; at++) {
        const key = byAlias.get(arg[at]!);
        if (key === undefined) throw unknownFlag(at === 1 ? arg : `-${arg[at]} in ${arg}`, byName.keys());
        const flag = flags[key]!;
        if (flag.type === "boolean") {
          add(key, true);
        } else {
          const rest = arg.slice(at + 1).replace(/^=/, "");
          add(key, at + 1 < arg.length ? rest : valueAfter(`-${arg[at]}`, flag));
          break;
        }
      }
    } else {
      words.push(arg);
    }
  }
  return { raw, words };
}

function split(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function fromEnvironment(flag: Flag, env: Env): string[] | undefined {
  const text = flag.env === undefined ? undefined : env[flag.env];
  if (text === undefined || text === "") return undefined;
  return flag.multiple ? text.split(",") : [text];
}

/** `source`: the flag or variable the text came from, for the message. */
export function parseValue(source: string, flag: Flag, text: string | boolean): string | number | boolean {
  if (flag.type === "boolean") {
    if (text === true || text === "true" || text === "1") return true;
    if (text === false || text === "false" || text === "0") return false;
    throw usage(`${source} is a switch; its value can only be true or false, not "${text}"`);
  }
  const value = String(text);
  if (flag.type === "choice" && !flag.options!.includes(value)) {
    const hint = nearest(value, flag.options!);
    throw usage(
      `${source} must be one of ${flag.options!.join(", ")}; got "${value}"${hint ? `. Did you mean ${hint}?` : ""}`,
    );
  }
  if (flag.type === "string" || flag.type === "choice") return value;
  const number = parseNumber(source, flag, value);
  if (flag.min !== undefined && number < flag.min) throw usage(`${source} must be at least ${flag.min}; got ${value}`);
  if (flag.max !== undefined && number > flag.max) throw usage(`${source} must be at most ${flag.max}; got ${value}`);
  return number;
}

function parseNumber(source: string, flag: Flag, value: string): number {
  if (flag.type === "integer") {
    if (/^[+-]?\d+$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value);
    throw usage(`${source} must be a whole number; got "${value}"`);
  }
  try {
    return flag.type === "duration" ? parseDuration(value) : parseSize(value);
  } catch (error) {
    throw usage(`${source}: ${(error as Error).message}`);
  }
}

function unknownFlag(shown: string, names: Iterable<string>): LogagentError {
  const hint = nearest(shown.replace(/^-+/, ""), names);
  return usage(`unknown flag ${shown}${hint ? `. Did you mean --${hint}?` : ""}`);
}

function usage(message: string): LogagentError {
  return new LogagentError("USAGE", message);
}
