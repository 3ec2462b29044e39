/**
 * Records from a file and from stdin into a topic, acks=all: `logagent produce` beside `kcat -P`. In the first run what
 * arrived is read back by kcat and compared with the file.
 */
import { binary } from "../support/process.ts";
import { measure } from "./support/meter.ts";
import { type Candidate, intoTopic, throughput } from "./support/throughput.ts";

await throughput("produce, acks=all", {}, async (setting, codec) => {
  const { kafka, file, flags } = setting;
  const theirs = ["kcat", "-P", "-b", kafka.brokers, "-X", "acks=all", "-z", codec];
  const ours = [binary(), "produce", "-b", kafka.brokers, "-z", codec, ...flags];
  const candidate = (name: string, against: number, command: (topic: string) => string[]): Candidate => ({
    ...{ name, against, ...(name.includes("logagent") ? { budget: "wall ≤ 1.0 ×" } : {}) },
    run: (_, verify) => intoTopic(setting, verify, false, (topic) => measure(command(topic))),
  });
  /** Becomes the program, so that it is measured and not the shell; `cat` writes to its stdin. */
  const piped = (command: string[]) => ["bash", "-c", `exec "$@" < <(exec cat '${file}')`, "bash", ...command];
  return {
    candidates: [
      candidate("kcat -P -l FILE", 0, (topic) => [...theirs, "-t", topic, "-l", file]),
      candidate("logagent produce FILE", 0, (topic) => [...ours, "-t", topic, file]),
      candidate("kcat -P from a pipe", 2, (topic) => piped([...theirs, "-t", topic])),
      candidate("logagent produce from a pipe", 2, (topic) => piped([...ours, "-t", topic])),
    ],
  };
});
