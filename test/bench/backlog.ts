/**
 * A file's backlog into a topic, acks=all: `logagent tail FILE --once`, at least once and exactly once, beside
 * `kcat -P -l`. Alternating runs, medians; in the first one what arrived is read back by kcat and compared with the file.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { binary } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { writeLines } from "./support/generate.ts";
import { benchKafka, digestOfFile, digestOfTopic, warmUp } from "./support/kafka.ts";
import { machine } from "./support/machine.ts";
import { type Measured, measure } from "./support/meter.ts";
import { median, megabytes, ratio, seconds, table, thousands } from "./support/table.ts";

const { values } = parseArgs({
  allowNegative: true,
  options: {
    lines: { type: "string", default: "1000000" },
    length: { type: "string", default: "200" },
    partitions: { type: "string", default: "4" },
    runs: { type: "string", default: "5" },
    codecs: { type: "boolean", default: false },
    "exactly-once": { type: "boolean", default: true },
    verify: { type: "boolean", default: true },
    brokers: { type: "string" },
    flags: { type: "string", default: "" },
  },
});
const [lines, runs] = [Number(values.lines), Number(values.runs)];

interface Program {
  name: string;
  committed: boolean;
  command(file: string, brokers: string, topic: string, dir: string): string[];
}

function kcat(codec: string): Program {
  const flags = codec === "none" ? [] : ["-z", codec];
  return {
    name: "kcat -P -l",
    committed: false,
    command: (file, brokers, topic) => [
      "kcat",
      "-P",
      "-b",
      brokers,
      "-t",
      topic,
      "-X",
      "acks=all",
      ...flags,
      "-l",
      file,
    ],
  };
}

function tail(codec: string, delivery: "at-least-once" | "exactly-once"): Program {
  const flags = ["--once", "--delivery", delivery, "--compression", codec, ...values.flags.split(" ").filter(Boolean)];
  return {
    name: `logagent tail, ${delivery}`,
    committed: delivery === "exactly-once",
    command: (file, brokers, topic, dir) => {
      const state = join(dir, "state.jsonl");
      return [binary(), "tail", file, "--topic", topic, "--brokers", brokers, "--state", state, ...flags];
    },
  };
}

const dir = tempDir("backlog");
const file = join(dir, "backlog.log");
writeLines(file, lines, Number(values.length));
const kafka = await benchKafka(values.brokers);
try {
  const expected = values.verify ? digestOfFile(file) : "";
  await warmUp(kafka, file);
  console.log(machine(binary()));
  console.log(
    `${values.lines} lines × ${values.length} B, ${values.partitions} partitions, acks=all, medians of ${runs} alternating runs`,
  );
  for (const codec of values.codecs ? ["none", "gzip", "snappy", "lz4", "zstd"] : ["none"]) {
    const programs = [kcat(codec), tail(codec, "at-least-once")];
    if (values["exactly-once"]) programs.push(tail(codec, "exactly-once"));
    const results = programs.map((): Measured[] => []);
    const verdicts = programs.map(() => "–");
    for (let run = 0; run < runs; run++) {
      for (const [i, program] of programs.entries()) {
        const topic = await kafka.topic(Number(values.partitions));
        const work = join(dir, `${codec}-${run}-${i}`);
        mkdirSync(work);
        results[i]!.push(await measure(program.command(file, kafka.brokers, topic, work)));
        if (run === 0 && values.verify) {
          const found = digestOfTopic(kafka.brokers, topic, program.committed);
          verdicts[i] = found === expected ? "equal" : `DIFFERS: ${found}, not ${expected}`;
        }
        await kafka.remove(topic);
        removeDir(work);
      }
    }
    console.log(`\ncompression ${codec}\n`);
    console.log(report(programs, results, verdicts));
    if (verdicts.some((verdict) => verdict.startsWith("DIFFERS"))) process.exitCode = 1;
  }
} finally {
  await kafka.stop();
  removeDir(dir);
}

/** Ratios are medians of each run's own ratio to its neighbour, so that a slow minute touches both sides. */
function report(programs: readonly Program[], results: readonly Measured[][], verdicts: readonly string[]): string {
  const against = (i: number, base: number, of: (run: Measured) => number) =>
    median(results[i]!.map((run, n) => of(run) / of(results[base]![n]!)));
  const rows = programs.map(({ name, committed }, i) => {
    const runs = results[i]!;
    const wall = median(runs.map((run) => run.wall));
    return [
      name,
      seconds(wall),
      thousands(lines / wall),
      seconds(median(runs.map((run) => run.cpu))),
      megabytes(Math.max(...runs.map((run) => run.peak))),
      i === 0 ? "1" : ratio(against(i, 0, (run) => run.wall)),
      i === 0 ? "1" : ratio(against(i, 0, (run) => run.cpu)),
      committed ? ratio(1 / against(i, 1, (run) => run.wall)) : "–",
      i === 0 ? "–" : committed ? "≥ 0.9 × at-least-once" : "wall ≤ 1.0 ×, CPU ≤ 1.0 ×, RSS ≤ 100 MB",
      verdicts[i]!,
    ];
  });
  const head = ["program", "wall s", "lines/s", "CPU s", "peak RSS MB", "wall : kcat", "CPU : kcat"];
  return table([...head, "rate : at-least-once", "budget", "read back"], rows);
}
