/**
 * What a command is. A command's module looks like this:
 *
 *     export default defineCommand({
 *       name: "topics list",
 *       description: "List topics",
 *       flags: { ...connectionFlags, output: { type: "choice", options: ["table", "json"], default: "table", … } },
 *       words: { name: "TOPIC", many: true },
 *       examples: ["logagent topics list"],
 *       async run({ flags, words, log }) {
 *         …
 *         return 0; // the exit code; or throw LogagentError
 *       },
 *     });
 *
 * Keys of `flags` are camelCase, the flags on the command line kebab-case. How flags are read: `config/parse-flags.ts`.
 */
import { type CommandDef, defineCommand as defineCittyCommand } from "citty";
import type { Flags, FlagValues } from "../config/flag.ts";
import type { Log } from "../observe/log.ts";

export interface Context<F extends Flags> {
  /** Flags > environment > defaults. */
  flags: FlagValues<F>;
  /** Only what the command line or the environment gave, without defaults. */
  given: Partial<FlagValues<F>>;
  /** Positional arguments. */
  words: string[];
  /** To stderr, by --log-level and --log-format where the command has them. */
  log: Log;
}

/** Positional arguments of a command. Surplus and missing ones are usage errors. */
export interface Words {
  /** As shown in the help, for example `TOPIC`. */
  name: string;
  required?: boolean;
  many?: boolean;
}

export interface CommandSpec<F extends Flags> {
  /** With its group: `topics list`. */
  name: string;
  description: string;
  flags: F;
  words?: Words;
  examples?: readonly string[];
  /** More paragraphs for the help. */
  notes?: string;
  /** Exit code; nothing is 0. */
  run(context: Context<F>): Promise<number | undefined> | Promise<void> | number | undefined;
}

export interface GroupSpec {
  name: string;
  description: string;
  subCommands: Record<string, { description: string; load: () => Promise<{ default: Command | Group }> }>;
}

export interface Command {
  kind: "command";
  spec: Omit<CommandSpec<Flags>, "run">;
  // biome-ignore lint/suspicious/noExplicitAny: citty's own type parameter; the flags are read by us.
  citty: CommandDef<any>;
}

export interface Group extends GroupSpec {
  kind: "group";
}

export function defineCommand<const F extends Flags>(spec: CommandSpec<F>): Command {
  const citty = defineCittyCommand({
    meta: { name: spec.name, description: spec.description },
    run: ({ data }) => spec.run(data as Context<F>),
  });
  return { kind: "command", spec: spec as unknown as Command["spec"], citty };
}

export function defineGroup(spec: GroupSpec): Group {
  return { kind: "group", ...spec };
}
