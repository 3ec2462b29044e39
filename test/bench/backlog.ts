/**
 * A file's backlog into a topic, acks=all: `logagent tail FILE --once`, at least once and exactly once, beside
 * `kcat -P -l`. In the first run what arrived is read back by kcat and compared with the file.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { binary } from "../support/process.ts";
import { removeDir } from "../support/temp.ts";
import { measure } from "./support/meter.ts";
import { type Candidate, intoTopic, throughput } from "./support/throughput.ts";

const options = { "exactly-once": { type: "boolean", default: true } } as const;

await throughput("backlog of a file, acks=all", options, async (setting, codec) => {
  const { kafka, file, dir, flags, values } = setting;
  const theirs = ["kcat", "-P", "-b", kafka.brokers, "-X", "acks=all", "-z", codec];

  const tail = (delivery: "at-least-once" | "exactly-once", against: number, budget: string): Candidate => ({
    ...{ name: `logagent tail, ${delivery}`, against, budget },
    run: (round, verify) =>
      intoTopic(setting, verify, delivery === "exactly-once", async (topic) => {
        const work = join(dir, `${codec}-${delivery}-${round}`);
        mkdirSync(work);
        const ours = [binary(), "tail", file, "--topic", topic, "--brokers", kafka.brokers, "--once"];
        const how = ["--state", join(work, "state.jsonl"), "--delivery", delivery, "--compression", codec];
        const measured = await measure([...ours, ...how, ...flags]);
        removeDir(work);
        return measured;
      }),
  });

  const candidates: Candidate[] = [
    {
      ...{ name: "kcat -P -l", against: 0 },
      run: (_, verify) => intoTopic(setting, verify, false, (topic) => measure([...theirs, "-t", topic, "-l", file])),
    },
    tail("at-least-once", 0, "wall ≤ 1.0 ×, CPU ≤ 1.0 ×, RSS ≤ 100 MB"),
  ];
  if (values["exactly-once"]) candidates.push(tail("exactly-once", 1, "wall ≤ 1.1 ×"));
  return { candidates };
});
