/** The settings of one input → `InputConfig`. Whatever is wrong goes to `problem`, with the setting's key. */
import type { Partitioner } from "../kafka/producer/sink.ts";
import type { StartPosition, TailOptions } from "../tail/types.ts";
import type { FlagValues } from "./flag.ts";
import { inputFlags } from "./input-flags.ts";
import { parseTemplate } from "./template.ts";
import { topicNameProblem } from "./topic-name.ts";
import type { InputConfig } from "./types.ts";
import { parseSize } from "./units.ts";

export type InputSettings = Partial<FlagValues<typeof inputFlags>>;
export type InputProblem = (key: keyof InputSettings | "", message: string) => void;

/** `settings` are merged already; `once` chooses the default of `from`. */
export function resolveInput(
  name: string,
  paths: readonly string[],
  settings: InputSettings,
  once: boolean,
  problem: InputProblem,
): InputConfig {
  const { topic = "", key = null } = settings;
  const topicProblem = settings.topic === undefined ? "no topic is given" : topicNameProblem(topic);
  if (topicProblem) problem(settings.topic === undefined ? "" : "topic", topicProblem);
  if (key !== null) attempt("key", () => parseTemplate(key), problem);
  return {
    name,
    topic,
    partitioner: partitioner(settings, problem),
    key,
    headers: (settings.header ?? []).map((text) => header(text, problem)),
    format: settings.format ?? "raw",
    createTopic: settings.createTopic === undefined ? null : createTopic(settings.createTopic, problem),
    tail: tailOptions(name, paths, settings, once, problem),
  };
}

function tailOptions(
  input: string,
  paths: readonly string[],
  settings: InputSettings,
  once: boolean,
  problem: InputProblem,
): TailOptions {
  const { pollMin = inputFlags.pollMin.default } = settings;
  const { pollMax = Math.max(inputFlags.pollMax.default, pollMin) } = settings;
  if (pollMin > pollMax)
    problem("pollMin", `the shortest poll interval, ${pollMin} ms, is above the longest, ${pollMax} ms`);
  const start = regex("multilineStart", settings.multilineStart, problem);
  const continuation = regex("multilineContinuation", settings.multilineContinuation, problem);
  return {
    input,
    paths,
    exclude: settings.ignore ?? [],
    followLinks: settings.followLinks ?? inputFlags.followLinks.default,
    from: settings.from === undefined ? (once ? "beginning" : "end") : startPosition(settings.from, problem),
    once,
    reopen: !settings.noReopen,
    maxLineBytes: settings.maxLineBytes ?? 1_000_000,
    tooLong: settings.tooLong ?? "split",
    trimCr: settings.trimCr ?? false,
    encoding: settings.encoding ?? "raw",
    multiline:
      start || continuation
        ? {
            ...(start ? { start } : {}),
            ...(continuation ? { continuation } : {}),
            timeoutMs: settings.multilineTimeout ?? 1000,
            maxBytes: settings.multilineMaxBytes ?? 1_000_000,
          }
        : null,
    include: anyOf("include", settings.include, problem),
    excludeLines: anyOf("exclude", settings.exclude, problem),
    rateLimit: settings.rateLimit ?? 0,
    pollMin,
    pollMax,
    watch: !settings.noWatch,
    maxHeldBytes: settings.maxHeld ?? 0,
    maxOpenFiles: settings.maxOpenFiles ?? 512,
  };
}

function partitioner({ partition, partitioner, key }: InputSettings, problem: InputProblem): Partitioner {
  if (partition !== undefined && partitioner !== undefined) {
    problem("partitioner", `partition ${partition} and partitioner ${partitioner} exclude each other; give one`);
  }
  if (partition !== undefined) return partition;
  if (partitioner === "key" && key === undefined) problem("partitioner", "partitioner key needs a key; none is given");
  return partitioner ?? (key === undefined ? "sticky" : "key");
}

function header(text: string, problem: InputProblem): { name: string; value: string } {
  const at = text.indexOf("=");
  if (at < 1) problem("header", `must be NAME=TEMPLATE; got "${text}"`);
  const value = text.slice(at + 1);
  attempt("header", () => parseTemplate(value), problem);
  return { name: text.slice(0, Math.max(at, 0)), value };
}

/** "16", "16:3"; without a replication factor the broker's default (-1) holds. */
function createTopic(text: string, problem: InputProblem): { partitions: number; replication: number } {
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  const partitions = Number(match?.[1]);
  const replication = match?.[2] === undefined ? -1 : Number(match[2]);
  if (!match || partitions < 1 || replication === 0 || replication > 32_767) {
    problem("createTopic", `must be PARTITIONS or PARTITIONS:REPLICATION, like 16:3; got "${text}"`);
    return { partitions: 1, replication: -1 };
  }
  return { partitions, replication };
}

function startPosition(text: string, problem: InputProblem): StartPosition {
  if (text === "beginning" || text === "end") return text;
  const match = /^([+-])(.+)$/.exec(text);
  try {
    if (match) {
      const bytes = parseSize(match[2]!);
      if (bytes === 0) return match[1] === "+" ? "beginning" : "end";
      return match[1] === "+" ? bytes : -bytes;
    }
  } catch {
    // Reported below, with the whole rule.
  }
  problem("from", `must be beginning, end, +BYTES or -BYTES; got "${text}"`);
  return "end";
}

function anyOf(
  key: "include" | "exclude",
  sources: readonly string[] | undefined,
  problem: InputProblem,
): RegExp | null {
  if (!sources?.length) return null;
  const all = sources.map((source) => regex(key, source, problem)).filter((expression) => expression !== undefined);
  if (all.length <= 1) return all[0] ?? null;
  if (all.some((expression) => expression.flags !== all[0]!.flags)) {
    problem(key, "either all expressions begin with (?i) or none");
  }
  // Two expressions that are right alone need not be together: a group's name may occur once.
  const together = () => new RegExp(all.map((expression) => `(?:${expression.source})`).join("|"), all[0]!.flags);
  return attempt(key, together, problem) ?? null;
}

/** JavaScript's syntax; a leading `(?i)` ignores case. */
function regex(key: keyof InputSettings, source: string | undefined, problem: InputProblem): RegExp | undefined {
  if (source === undefined) return undefined;
  return attempt(
    key,
    () => (source.startsWith("(?i)") ? new RegExp(source.slice(4), "i") : new RegExp(source)),
    problem,
  );
}

function attempt<T>(key: keyof InputSettings, make: () => T, problem: InputProblem): T | undefined {
  try {
    return make();
  } catch (error) {
    problem(key, (error as Error).message);
    return undefined;
  }
}
