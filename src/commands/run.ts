/** From argv to the exit code: finds the command, reads its flags, runs it, turns errors into a message on stderr. */
import { runCommand } from "citty";
import { parseFlags } from "../config/parse-flags.ts";
import { nearest } from "../config/suggest.ts";
import { exitCodeOf, exitCodes, LogagentError, messageOf } from "../errors.ts";
import { KafkaError } from "../kafka/protocol/errors.ts";
import { createLog } from "../observe/log.ts";
import { printable } from "../printable.ts";
import type { Command, Group } from "./define.ts";
import { commandHelp, groupHelp } from "./help.ts";
import root from "./index.ts";
import { kafkaExitCode } from "./kafka-exit-code.ts";

const helpFlags = new Set(["--help", "-h"]);

/** Never throws; writes help to stdout only when it was asked for. */
export async function run(argv: readonly string[]): Promise<number> {
  let debug = process.env.LOGAGENT_LOG_LEVEL === "debug";
  let path = "logagent";
  try {
    const asked = argv[0] === "help" ? [...argv.slice(1), "--help"] : argv;
    const { target, rest } = await find(root, asked, (name) => {
      path = name;
    });
    const end = rest.indexOf("--");
    if ((end < 0 ? rest : rest.slice(0, end)).some((word) => helpFlags.has(word))) {
      process.stdout.write(target.kind === "group" ? groupHelp(target) : commandHelp(target));
      return 0;
    }
    if (target.kind === "group") {
      process.stderr.write(groupHelp(target));
      return exitCodes.USAGE;
    }
    const { flags, given, words } = parseFlags(rest, target.spec.flags, process.env);
    checkWords(target, words);
    const level = String(flags.logLevel ?? "info");
    debug = level === "debug";
    const log = createLog({ level, format: flags.logFormat === "json" ? "json" : "text" });
    const { result } = await runCommand(target.citty, { rawArgs: [], data: { flags, given, words, log } });
    return typeof result === "number" ? result : 0;
  } catch (error) {
    process.stderr.write(explain(error, path, debug));
    return error instanceof KafkaError ? kafkaExitCode(error.code) : exitCodeOf(error);
  }
}

/** Walks groups by the leading words, telling `at` each; the rest is the command's own line. */
async function find(
  group: Group,
  argv: readonly string[],
  at: (path: string) => void,
): Promise<{ target: Command | Group; rest: readonly string[] }> {
  const [name, ...rest] = argv;
  if (name === undefined || helpFlags.has(name)) return { target: group, rest: argv };
  const names = Object.keys(group.subCommands);
  const sub = Object.hasOwn(group.subCommands, name) ? group.subCommands[name] : undefined;
  if (!sub) {
    if (name.startsWith("-")) {
      throw new LogagentError("USAGE", `a command must come before ${name}; commands are ${names.join(", ")}`);
    }
    const hint = nearest(name, names);
    const known = hint ? `Did you mean ${hint}?` : `Commands are ${names.join(", ")}.`;
    throw new LogagentError("USAGE", `unknown command "${group === root ? "" : `${group.name} `}${name}". ${known}`);
  }
  const { default: target } = await sub.load();
  at(`logagent ${target.kind === "group" ? target.name : target.spec.name}`);
  return target.kind === "group" ? find(target, rest, at) : { target, rest };
}

function checkWords(command: Command, words: readonly string[]): void {
  const { words: rule } = command.spec;
  const allowed = rule ? (rule.many ? Number.POSITIVE_INFINITY : 1) : 0;
  if (words.length > allowed) {
    const surplus = words.slice(allowed).map((word) => `"${word}"`);
    throw new LogagentError(
      "USAGE",
      `unexpected ${surplus.join(" ")}; ${allowed === 0 ? "no" : "one"} word is allowed here`,
    );
  }
  if (rule?.required && words.length === 0) throw new LogagentError("USAGE", `${rule.name} is missing`);
}

function explain(error: unknown, path: string, debug: boolean): string {
  if (!(error instanceof LogagentError || error instanceof KafkaError)) {
    const more = error instanceof Error && debug ? "" : "; run again with --log-level debug for details";
    return text([`logagent: internal error: ${messageOf(error)}${more}`, ...(debug ? trace(error) : [])]);
  }
  const [first, ...others] = error instanceof LogagentError ? error.lines : [error.message];
  const hint = error.code === "USAGE" ? [`Try: ${path} --help`] : [];
  return text([`logagent: ${first}`, ...others, ...hint, ...(debug ? trace(error) : [])]);
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join("");
}

/** Where the error and its causes arose. */
function trace(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  if (!(error.cause instanceof Error)) return frames;
  return [...frames, `caused by ${error.cause.name}: ${error.cause.message}`, ...trace(error.cause)];
}
