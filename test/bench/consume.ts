/**
 * A topic's raw values to a pipe: `logagent consume -f '%v\n'` beside `kcat -C`; `cat` reads the pipe. Before the first run
 * the output is compared with what was written. kcat as it comes checks no checksums; its second line shows what they cost.
 * It would wait for half a second at the end of the topic: that is no work and is cut short.
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { binary } from "../support/process.ts";
import { digestCommand } from "./support/kafka.ts";
import { type Measured, measure } from "./support/meter.ts";
import { type Candidate, compare, throughput } from "./support/throughput.ts";

const options = { format: { type: "string", default: "%v\\n" } } as const;

await throughput("consume from the start to the end", options, async (setting, codec) => {
  const { kafka, file, dir, partitions, flags, expected, values } = setting;
  const { brokers } = kafka;
  const topic = await kafka.topic(partitions);
  await measure(["kcat", "-P", "-b", brokers, "-t", topic, "-z", codec, "-l", file]);
  const pipe = join(dir, `pipe-${codec}`);
  spawnSync("mkfifo", [pipe]);

  const candidate = (name: string, command: string[], budget?: string): Candidate => ({
    ...{ name, against: 0, ...(budget === undefined ? {} : { budget }) },
    async run(_, verify) {
      const found = verify ? compare((await intoPipe(pipe, command, digestCommand)).output, expected) : undefined;
      const { measured } = await intoPipe(pipe, command, "cat > /dev/null");
      return found === undefined ? { measured } : { measured, readBack: found };
    },
  });

  const theirs = [
    "kcat",
    "-q",
    "-C",
    "-b",
    brokers,
    "-t",
    topic,
    "-o",
    "beginning",
    "-e",
    "-X",
    "fetch.wait.max.ms=10",
  ];
  const ours = [binary(), "consume", "-b", brokers, topic, "-O", "start", "-e", "-f", String(values.format), ...flags];
  const candidates = [
    candidate("kcat -C", theirs),
    candidate("kcat -C -X check.crcs=true", [...theirs, "-X", "check.crcs=true"]),
    candidate("logagent consume", ours, "wall ≤ 1.0 ×"),
  ];
  return { candidates, done: () => kafka.remove(topic) };
});

/** Runs the command with a pipe to `reader` (bash) as its standard output; the reader's own output. */
async function intoPipe(
  pipe: string,
  command: readonly string[],
  reader: string,
): Promise<{ measured: Measured; output: string }> {
  const child = spawn("bash", ["-c", `(${reader}) < '${pipe}'`], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const measured = await measure(command, { stdout: pipe });
  await closed;
  return { measured, output: output.trim() };
}
