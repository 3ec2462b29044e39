/** Flags > environment > file > defaults → one `AgentConfig`. Pure apart from reading the files that are named. */

import { statSync } from "node:fs";
import { showPath } from "../path-text.ts";
import { defaultStatePath } from "../state/default-path.ts";
import { advise } from "./advice.ts";
import { type ConnectionFlags, resolveConnection } from "./connection.ts";
import { connectionRisks } from "./connection-risks.ts";
import { type ConfigFile, fileKey, readConfigFile } from "./file.ts";
import { type Flags, type FlagValues, flagName } from "./flag.ts";
import { connectionFlags, producerFlags } from "./flags.ts";
import { type InputSettings, resolveInput } from "./input.ts";
import { inputFlags } from "./input-flags.ts";
import { ConfigError, type Problem, problemText } from "./problems.ts";
import { agentFlags, runFlags, type tailFlags } from "./tail-flags.ts";
import type { AgentConfig, InputConfig, ProducerConfig } from "./types.ts";

type TailSettings = FlagValues<typeof tailFlags>;

export interface TailArguments {
  /** What the command line and the environment gave (`given` of the command's context). */
  given: Partial<TailSettings>;
  /** Paths and globs. */
  words: readonly string[];
}

/**
 * May be called again at any time to read the config file anew. Throws ConfigError listing everything that is wrong:
 * USAGE when it came from flags alone, CONFIG with a config file.
 */
export function loadAgentConfig(
  args: TailArguments,
  env: Record<string, string | undefined> = process.env,
): AgentConfig {
  const { given, words } = args;
  const configFile = given.config ?? null;
  const file = configFile === null ? null : readConfigFile(configFile, env);
  const problems: Problem[] = [...(file?.problems ?? [])];
  const settings = { ...file?.settings, ...given } as Partial<TailSettings>;
  const problem = (key: string, message: string, path: readonly string[] = []) =>
    problems.push(located(given, file, configFile, key, message, path));

  if (file !== null && words.length > 0) problem("", `paths (${words.join(", ")}) and --config exclude each other`);
  if (file === null && words.length === 0) problem("", "name a file or a pattern to follow, or give --config");
  const dryRun = settings.dryRun ?? false;
  const once = dryRun || (settings.once ?? false);
  const inputs = file === null ? wordInputs(words, given, once, problem) : fileInputs(file, given, once, problem);
  if (file !== null && file.inputs.size === 0 && file.problems.length === 0)
    problem("", "no inputs are given", ["inputs"]);
  checkCombinations(settings, inputs, problem);

  const config: AgentConfig = {
    connection: resolveConnection(settings as ConnectionFlags, env, (key, message) => {
      // A flag's message names its flag.
      problem(file === null ? "" : key, message);
    }),
    producer: producer(settings),
    delivery: settings.delivery ?? "at-least-once",
    transactionBytes: settings.transactionSize ?? agentFlags.transactionSize.default,
    transactionInterval: settings.transactionInterval ?? agentFlags.transactionInterval.default,
    state: settings.state ?? defaultStatePath(env),
    agentId: settings.agentId ?? null,
    checkpointInterval: settings.checkpointInterval ?? agentFlags.checkpointInterval.default,
    drainTimeout: settings.drainTimeout ?? agentFlags.drainTimeout.default,
    timeout: settings.timeout ?? runFlags.timeout.default,
    once,
    dryRun,
    mustExist: settings.mustExist ?? false,
    printAcks: settings.printAcks ?? false,
    recover: settings.recover ?? null,
    newDestination: settings.newDestination ?? false,
    metricsListen: settings.metricsListen ?? null,
    configFile,
    warnings: [
      ...(file === null ? [] : advise(file, env).map(problemText)),
      ...(dryRun ? [] : connectionRisks(settings as ConnectionFlags)),
    ],
    inputs,
  };
  if (problems.length > 0) throw new ConfigError(file === null ? "USAGE" : "CONFIG", problems);
  return config;
}

type Report = (key: string, message: string, path?: readonly string[]) => void;

/** Every path or pattern on the command line is an input of its own, named as typed. */
function wordInputs(
  words: readonly string[],
  given: Partial<TailSettings>,
  once: boolean,
  problem: Report,
): InputConfig[] {
  const settings = only(given, inputFlags) as InputSettings;
  const said = new Set<string>();
  return [...new Set(words)].map((word) =>
    resolveInput(showPath(word), [word], settings, once, (key, message) => {
      // The same flags hold for every path: their faults are told once.
      const text = key === "" && settings.topic === undefined ? "--topic is missing" : message;
      if (!said.has(key + text)) problem(key, text);
      said.add(key + text);
    }),
  );
}

function fileInputs(file: ConfigFile, given: Partial<TailSettings>, once: boolean, problem: Report): InputConfig[] {
  const flags = only(given, inputFlags);
  return [...file.inputs].map(([name, input]) => {
    const settings = layered([file.defaults, input.settings, flags]) as InputSettings;
    return resolveInput(name, input.paths, settings, once, (key, message) => {
      const own = key === "" || Object.hasOwn(input.settings, key);
      problem(key, message, own ? ["inputs", name] : ["defaults"]);
    });
  });
}

/** Later layers win; a layer that says how partitions are chosen ends what an earlier one said about it. */
export function layered(layers: readonly Record<string, unknown>[]): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const layer of layers) {
    if (layer.partition !== undefined) delete result.partitioner;
    if (layer.partitioner !== undefined) delete result.partition;
    Object.assign(result, layer);
  }
  return result;
}

function checkCombinations(settings: Partial<TailSettings>, inputs: readonly InputConfig[], problem: Report): void {
  if (settings.delivery === "exactly-once") {
    if (settings.acks !== undefined && settings.acks !== "all") {
      problem("acks", `exactly-once needs acks all; got ${settings.acks}`);
    }
    for (const path of inputs.flatMap((input) => input.tail.paths).filter(isFifo)) {
      problem("delivery", `exactly-once cannot follow the FIFO ${path}: what was read from it is gone after a kill`);
    }
  } else if (settings.recover !== undefined) {
    problem("recover", "recover is a choice of exactly-once; the delivery is at-least-once");
  }
  if (settings.timeout !== undefined && !settings.once) problem("timeout", "timeout needs --once");
  if (settings.compressionLevel !== undefined && (settings.compression ?? "none") === "none") {
    problem("compressionLevel", "a compression level needs a compression");
  }
  const levels = compressionLevels[settings.compression ?? "none"];
  const level = settings.compressionLevel;
  if (level !== undefined && levels !== undefined && !(level >= levels[0] && level <= levels[1])) {
    problem("compressionLevel", `${settings.compression} has the levels ${levels[0]} to ${levels[1]}; got ${level}`);
  }
  const batch = settings.batchSize ?? producerFlags.batchSize.default;
  const memory = settings.bufferMemory ?? producerFlags.bufferMemory.default;
  if (batch > memory)
    problem("batchSize", `a batch of ${batch} bytes is larger than the buffer memory of ${memory} bytes`);
  if (settings.agentId !== undefined && !/^[A-Za-z0-9._-]{1,200}$/.test(settings.agentId)) {
    problem("agentId", `an agent id is 1 to 200 letters, digits, ".", "_" and "-"; got "${settings.agentId}"`);
  }
  const port = settings.metricsListen === undefined ? 0 : Number(/^\S+:(\d+)$/.exec(settings.metricsListen)?.[1]);
  if (!(port <= 65_535)) problem("metricsListen", `must be HOST:PORT; got "${settings.metricsListen}"`);
}

/** Lowest and highest level of the codecs that have one. */
const compressionLevels: Partial<Record<string, readonly [number, number]>> = { gzip: [1, 9], zstd: [1, 22] };

/** A path that cannot be asked about (EACCES, a name that is too long) is not known to be a FIFO; following it says more. */
function isFifo(path: string): boolean {
  try {
    return statSync(path).isFIFO();
  } catch {
    return false;
  }
}

function producer(settings: Partial<TailSettings>): ProducerConfig {
  return {
    acks: settings.acks === "0" ? 0 : settings.acks === "1" ? 1 : -1,
    compression: settings.compression ?? "none",
    ...(settings.compressionLevel === undefined ? {} : { compressionLevel: settings.compressionLevel }),
    lingerMs: settings.linger ?? producerFlags.linger.default,
    batchBytes: settings.batchSize ?? producerFlags.batchSize.default,
    memoryBytes: settings.bufferMemory ?? producerFlags.bufferMemory.default,
  };
}

/** A problem of a flag is named by the flag, one of the file by its place there. */
function located(
  given: Record<string, unknown>,
  file: ConfigFile | null,
  configFile: string | null,
  key: string,
  message: string,
  path: readonly string[],
): Problem {
  if (key !== "" && (Object.hasOwn(given, key) || file === null)) {
    return { file: null, line: null, where: `--${flagName(key)}`, message };
  }
  if (file === null) return { file: null, line: null, where: "", message };
  const section = path.length > 0 || key === "delivery" ? null : sectionOf(key);
  const full = [...(section === null ? path : [section]), ...(key === "" ? [] : [fileKey(key)])];
  return { file: configFile, line: file.lineOf(full), where: full.join("."), message };
}

function sectionOf(key: string): string | null {
  if (Object.hasOwn(producerFlags, key)) return "producer";
  return Object.hasOwn(connectionFlags, key) ? "connection" : null;
}

function only(values: Record<string, unknown>, flags: Flags): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => Object.hasOwn(flags, key)));
}
