/**
 * Records from stdin and from a file into a topic, acks=all: `logagent produce` beside `kcat -P`, with every codec on
 * request. Alternating runs, medians; in the first one what arrived is read back by kcat and compared with the file.
 */
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
    codecs: { type: "string", default: "none" },
    verify: { type: "boolean", default: true },
    brokers: { type: "string" },
    flags: { type: "string", default: "" },
  },
});
const [lines, runs] = [Number(values.lines), Number(values.runs)];

const dir = tempDir("bench-produce");
const file = join(dir, "input.log");
writeLines(file, lines, Number(values.length));
const kafka = await benchKafka(values.brokers);

/** Pairs: kcat first, then ours on the same input. */
function programs(codec: string): [name: string, shell: (topic: string) => string][] {
  const theirs = `kcat -P -b ${kafka.brokers} -X acks=all -z ${codec}`;
  const ours = `${binary()} produce -b ${kafka.brokers} -z ${codec} ${values.flags}`;
  return [
    ["kcat -P -l FILE", (topic) => `exec ${theirs} -t ${topic} -l ${file}`],
    ["logagent produce FILE", (topic) => `exec ${ours} -t ${topic} ${file}`],
    ["cat FILE | kcat -P", (topic) => `cat ${file} | ${theirs} -t ${topic}`],
    ["cat FILE | logagent produce", (topic) => `cat ${file} | ${ours} -t ${topic}`],
  ];
}

try {
  const expected = values.verify ? digestOfFile(file) : "";
  await warmUp(kafka, file);
  console.log(machine(binary()));
  console.log(
    `${lines} lines × ${values.length} B, ${values.partitions} partitions, acks=all, medians of ${runs} alternating runs`,
  );
  for (const codec of values.codecs === "all" ? ["none", "gzip", "snappy", "lz4", "zstd"] : values.codecs.split(",")) {
    const candidates = programs(codec);
    const results = candidates.map((): Measured[] => []);
    const verdicts = candidates.map(() => "–");
    for (let run = 0; run < runs; run++) {
      for (const [i, [, shell]] of candidates.entries()) {
        const topic = await kafka.topic(Number(values.partitions));
        results[i]!.push(await measure(["sh", "-c", shell(topic)]));
        if (run === 0 && values.verify) {
          const found = digestOfTopic(kafka.brokers, topic);
          verdicts[i] = found === expected ? "equal" : `DIFFERS: ${found}, not ${expected}`;
        }
        await kafka.remove(topic);
      }
    }
    console.log(`\ncompression ${codec}\n`);
    console.log(report(candidates, results, verdicts));
    if (verdicts.some((verdict) => verdict.startsWith("DIFFERS"))) process.exitCode = 1;
  }
} finally {
  await kafka.stop();
  removeDir(dir);
}

/** Ratios are medians of each run's own ratio to kcat's run before it. */
function report(
  candidates: ReturnType<typeof programs>,
  results: readonly Measured[][],
  verdicts: readonly string[],
): string {
  const rows = candidates.map(([name], i) => {
    const own = results[i]!;
    const base = results[i - (i % 2)]!;
    const against = (of: (run: Measured) => number) => median(own.map((run, n) => of(run) / of(base[n]!)));
    const wall = median(own.map((run) => run.wall));
    return [
      name,
      seconds(wall),
      thousands(lines / wall),
      seconds(median(own.map((run) => run.cpu))),
      megabytes(Math.max(...own.map((run) => run.peak))),
      ratio(against((run) => run.wall)),
      ratio(against((run) => run.cpu)),
      verdicts[i]!,
    ];
  });
  return table(
    ["program", "wall s", "lines/s", "CPU s", "peak RSS MB", "wall : kcat", "CPU : kcat", "read back"],
    rows,
  );
}
