/**
 * What the benchmarks of throughput share: options, a broker, a file of lines, alternating runs of programs that do the same
 * work, and one table for each codec with wall time, CPU and memory.
 */
import { join } from "node:path";
import { type ParseArgsConfig, parseArgs } from "node:util";
import { binary } from "../../support/process.ts";
import { removeDir, tempDir } from "../../support/temp.ts";
import { writeLines } from "./generate.ts";
import { type BenchKafka, benchKafka, digestOfFile, digestOfTopic, warmUp } from "./kafka.ts";
import { machine } from "./machine.ts";
import type { Measured } from "./meter.ts";
import { median, megabytes, ratio, seconds, table, thousands } from "./table.ts";

export const codecs = ["none", "gzip", "snappy", "lz4", "zstd"];

const common = {
  lines: { type: "string", default: "1000000" },
  length: { type: "string", default: "200" },
  partitions: { type: "string", default: "4" },
  runs: { type: "string", default: "5" },
  /** "all", or some of them with commas between. */
  codecs: { type: "string", default: "none" },
  verify: { type: "boolean", default: true },
  brokers: { type: "string" },
  /** More flags for our program. */
  flags: { type: "string", default: "" },
} as const satisfies ParseArgsConfig["options"];

/** One of the programs that are compared. */
export interface Candidate {
  name: string;
  /** Index of the candidate that does the same work and is run just before or behind. */
  against: number;
  budget?: string;
  /** What it did in round `round` (from 0); in the first one, if asked to, whether the records are the lines of the file. */
  run(round: number, verify: boolean): Promise<{ measured: Measured; readBack?: string }>;
}

export interface Setting {
  kafka: BenchKafka;
  /** The lines, and a directory for anything else. */
  file: string;
  dir: string;
  partitions: number;
  flags: string[];
  /** Count and checksum of the sorted lines. */
  expected: string;
  /** Of the benchmark's own options. */
  values: Record<string, unknown>;
}

interface Given {
  lines: string;
  length: string;
  partitions: string;
  runs: string;
  codecs: string;
  verify: boolean;
  brokers?: string;
  flags: string;
}

/** Runs the benchmark of this process with its arguments: for each codec the candidates that `prepare` makes. */
export async function throughput(
  what: string,
  options: NonNullable<ParseArgsConfig["options"]>,
  prepare: (setting: Setting, codec: string) => Promise<{ candidates: Candidate[]; done?: () => Promise<void> }>,
): Promise<void> {
  const { values } = parseArgs({ allowNegative: true, options: { ...common, ...options } });
  const given = values as unknown as Given;
  const [lines, rounds] = [Number(given.lines), Number(given.runs)];
  const dir = tempDir("bench");
  const file = join(dir, "lines.log");
  writeLines(file, lines, Number(given.length));
  const kafka = await benchKafka(given.brokers);
  try {
    const setting = {
      ...{ kafka, file, dir, partitions: Number(given.partitions), flags: given.flags.split(" ").filter(Boolean) },
      expected: given.verify ? digestOfFile(file) : "",
      values,
    };
    await warmUp(kafka, file);
    console.log(machine(binary()));
    console.log(`${what}: ${lines} lines × ${given.length} B, ${given.partitions} partitions`);
    console.log(`medians of ${rounds} alternating runs; ratios are medians of each run's own to its neighbour`);
    for (const codec of given.codecs === "all" ? codecs : given.codecs.split(",")) {
      const { candidates, done } = await prepare(setting, codec);
      const results = await alternate(candidates, rounds, given.verify);
      await done?.();
      console.log(`\ncompression ${codec}\n\n${report(candidates, results, lines)}`);
    }
  } finally {
    await kafka.stop();
    removeDir(dir);
  }
}

interface Result {
  runs: Measured[];
  readBack: string;
}

/** In turns, so that a slow minute touches all; there and back, since a broker takes its time to tidy up behind a run. */
async function alternate(candidates: readonly Candidate[], rounds: number, verify: boolean): Promise<Result[]> {
  const results = candidates.map((): Result => ({ runs: [], readBack: "–" }));
  for (let round = 0; round < rounds; round++) {
    const turns = [...candidates.entries()];
    for (const [i, candidate] of round % 2 === 0 ? turns : turns.reverse()) {
      const { measured, readBack } = await candidate.run(round, verify && round === 0);
      results[i]!.runs.push(measured);
      if (readBack === undefined) continue;
      results[i]!.readBack = readBack;
      if (readBack !== "equal") process.exitCode = 1;
    }
  }
  return results;
}

function report(candidates: readonly Candidate[], results: readonly Result[], lines: number): string {
  const rows = candidates.map(({ name, against, budget = "–" }, i) => {
    const { runs, readBack } = results[i]!;
    const base = results[against]!.runs;
    const to = (of: (run: Measured) => number) =>
      i === against ? "1" : ratio(median(runs.map((run, n) => of(run) / of(base[n]!))));
    const wall = median(runs.map((run) => run.wall));
    return [
      name,
      seconds(wall),
      thousands(lines / wall),
      seconds(median(runs.map((run) => run.cpu))),
      megabytes(Math.max(...runs.map((run) => run.peak))),
      to((run) => run.wall),
      to((run) => run.cpu),
      i === against ? "–" : candidates[against]!.name,
      budget,
      readBack,
    ];
  });
  const head = ["program", "wall s", "lines/s", "CPU s", "peak RSS MB", "wall ratio", "CPU ratio", "to"];
  return table([...head, "budget", "read back"], rows);
}

/** A run that fills a topic of its own, which is read back by kcat and removed. */
export async function intoTopic(
  setting: Setting,
  verify: boolean,
  committed: boolean,
  work: (topic: string) => Promise<Measured>,
): Promise<{ measured: Measured; readBack?: string }> {
  const { kafka, partitions, expected } = setting;
  const topic = await kafka.topic(partitions);
  try {
    const measured = await work(topic);
    return verify
      ? { measured, readBack: compare(digestOfTopic(kafka.brokers, topic, committed), expected) }
      : { measured };
  } finally {
    await kafka.remove(topic);
  }
}

/** "equal", or what was found instead. */
export function compare(found: string, expected: string): string {
  return found === expected ? "equal" : `DIFFERS: ${found}, not ${expected}`;
}
