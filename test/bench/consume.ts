/**
 * A topic's raw values to a pipe: `logagent consume -f '%v\n'` beside `kcat -C`, for every codec. Alternating runs,
 * medians; `cat` reads the pipe. In the first run both outputs are compared with what was written.
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { binary } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { writeLines } from "./support/generate.ts";
import { benchKafka, warmUp } from "./support/kafka.ts";
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
    codecs: { type: "string", default: "none,gzip,snappy,lz4,zstd" },
    format: { type: "string", default: "%v\\n" },
    verify: { type: "boolean", default: true },
    brokers: { type: "string" },
  },
});
const [lines, runs] = [Number(values.lines), Number(values.runs)];
const dir = tempDir("consume");
const file = join(dir, "lines.log");
const pipe = join(dir, "pipe");

/** kcat as it comes does not check checksums; the second line shows what that costs it. */
const programs = [
  { name: "kcat -C", command: (brokers: string, topic: string) => kcat(brokers, topic) },
  {
    name: "kcat -C -X check.crcs=true",
    command: (brokers: string, topic: string) => kcat(brokers, topic, "-X", "check.crcs=true"),
  },
  {
    name: "logagent consume",
    command: (brokers: string, topic: string) => [
      ...[binary(), "consume", "-b", brokers, topic],
      ...["-O", "start", "-e", "-f", values.format],
    ],
  },
];

function kcat(brokers: string, topic: string, ...more: string[]): string[] {
  return ["kcat", "-q", "-C", "-b", brokers, "-t", topic, "-o", "beginning", "-e", ...more];
}

/** Runs the command with a pipe to `reader` as its standard output; the reader's own output. */
async function intoPipe(command: readonly string[], reader: string): Promise<{ measured: Measured; output: string }> {
  const child = spawn("sh", ["-c", `(${reader}) < '${pipe}'`], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const measured = await measure(command, { stdout: pipe });
  await closed;
  return { measured, output };
}

const digest = "LC_ALL=C sort -S 1G | sha256sum";
const kafka = await benchKafka(values.brokers);
try {
  writeLines(file, lines, Number(values.length));
  spawnSync("mkfifo", [pipe]);
  await warmUp(kafka, file);
  const expected = spawnSync("sh", ["-c", `(${digest}) < '${file}'`], { encoding: "utf8" }).stdout;
  console.log(machine(binary()));
  console.log(
    `${lines} lines × ${values.length} B, ${values.partitions} partitions, medians of ${runs} alternating runs`,
  );
  for (const codec of values.codecs.split(",")) {
    const topic = await kafka.topic(Number(values.partitions));
    const compression = codec === "none" ? [] : ["-z", codec];
    await measure(["kcat", "-P", "-b", kafka.brokers, "-t", topic, ...compression, "-l", file]);
    const results = programs.map((): Measured[] => []);
    const verdicts = programs.map(() => "–");
    for (const [i, program] of values.verify ? programs.entries() : []) {
      const { output } = await intoPipe(program.command(kafka.brokers, topic), digest);
      verdicts[i] = output === expected ? "equal" : "DIFFERS";
      if (output !== expected) process.exitCode = 1;
    }
    for (let run = 0; run < runs; run++) {
      for (const [i, program] of programs.entries()) {
        results[i]!.push((await intoPipe(program.command(kafka.brokers, topic), "cat > /dev/null")).measured);
      }
    }
    await kafka.remove(topic);
    console.log(`\ncompression ${codec}\n`);
    console.log(report(results, verdicts));
  }
} finally {
  await kafka.stop();
  removeDir(dir);
}

/** Ratios are medians of each run's own ratio to its neighbour, so that a slow minute touches both sides. */
function report(results: readonly Measured[][], verdicts: readonly string[]): string {
  const against = (i: number, of: (run: Measured) => number) =>
    median(results[i]!.map((run, n) => of(run) / of(results[0]![n]!)));
  const rows = programs.map(({ name }, i) => {
    const measured = results[i]!;
    const wall = median(measured.map((run) => run.wall));
    return [
      name,
      seconds(wall),
      thousands(lines / wall),
      seconds(median(measured.map((run) => run.cpu))),
      megabytes(Math.max(...measured.map((run) => run.peak))),
      i === 0 ? "1" : ratio(1 / against(i, (run) => run.wall)),
      i === 0 ? "1" : ratio(against(i, (run) => run.cpu)),
      i === 2 ? "rate ≥ 1.0 ×" : "–",
      verdicts[i]!,
    ];
  });
  const head = [
    "program",
    "wall s",
    "records/s",
    "CPU s",
    "peak RSS MB",
    "rate : kcat",
    "CPU : kcat",
    "budget",
    "output",
  ];
  return table(head, rows);
}
