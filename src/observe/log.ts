/** Structured log to stderr; every room logs through this interface and nothing else. */
import { type ConsolaInstance, createConsola } from "consola/basic";
import { printable, printableJson } from "../printable.ts";

export type Fields = Record<string, string | number | bigint | boolean | null | undefined>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface LogOptions {
  /** debug, info, warn, error or silent. */
  level: string;
  format: "text" | "json";
  /** Where JSON lines go; default stderr. */
  write?: (line: string) => void;
}

const levels = { debug: 4, info: 3, warn: 1, error: 0, silent: Number.NEGATIVE_INFINITY } as const;

/**
 * Text through consola, or one JSON object a line: `{"time","level","message",…fields}`; one entry is one line, whatever
 * it holds. Always stderr: consola sends info to stdout and drops repeated lines unless told otherwise.
 */
export function createLog(options: LogOptions): Log {
  const level = levels[options.level as keyof typeof levels] ?? levels.info;
  const say = options.format === "json" ? jsonWriter(options.write) : textWriter(level);
  const at = (name: "debug" | "info" | "warn" | "error") =>
    levels[name] > level ? () => {} : (message: string, fields?: Fields) => say(name, message, fields);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

type Say = (level: "debug" | "info" | "warn" | "error", message: string, fields?: Fields) => void;

function jsonWriter(write: (line: string) => void = (line) => void process.stderr.write(line)): Say {
  return (level, message, fields) => {
    const entry = { time: new Date().toISOString(), level, message, ...fields };
    const json = JSON.stringify(entry, (_, value) => (typeof value === "bigint" ? value.toString() : value));
    write(`${printableJson(json)}\n`);
  };
}

function textWriter(level: number): Say {
  let consola: ConsolaInstance | undefined;
  return (name, message, fields) => {
    consola ??= createConsola({ level, stdout: process.stderr, stderr: process.stderr, throttle: 0 });
    consola[name](printable(message + fieldText(fields)));
  };
}

function fieldText(fields: Fields | undefined): string {
  if (!fields) return "";
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) => ` ${key}=${typeof value === "string" && /[\s"=]/.test(value) ? JSON.stringify(value) : value}`,
    )
    .join("");
}
