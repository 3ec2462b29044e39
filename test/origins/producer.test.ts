/** What LogAgent's producer did: explicit partition, key hash, round robin, random; acks 0, 1, all, on `tail` and `produce`. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { run } from "../support/process.ts";
import { testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";
import { makePlace, type Place, untilValues, values } from "./helpers.ts";

let place: Place;
const lines = Array.from({ length: 80 }, (_, i) => `line ${i}`);

beforeAll(async () => {
  place = await makePlace("producer");
}, 120_000);

afterAll(() => place.stopAll());

/** Sends the 80 lines by the command and returns how many each of four partitions got. */
async function spread(command: "tail" | "produce", flags: readonly string[], key: string[] = []): Promise<number[]> {
  const topic = await place.topic("producer", 4);
  const log = place.path(`${topic}.log`);
  writeFileSync(log, `${lines.join("\n")}\n`);
  const tail = ["tail", log, "--topic", topic, "--once", "--state", place.path(`${topic}.jsonl`)];
  const words = command === "tail" ? tail : ["produce", topic, log];
  const { code, stderr } = await place.run([...words, ...flags, ...key]);
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  const counts: number[] = [];
  for (let partition = 0; partition < 4; partition++) {
    counts.push((await values(place.brokers, topic, partition)).length);
  }
  expect(counts.reduce((a, b) => a + b)).toBe(lines.length);
  return counts;
}

for (const command of ["tail", "produce"] as const) {
  describe(command, () => {
    test("an explicit partition", async () => {
      expect(await spread(command, ["--partition", "2"])).toEqual([0, 0, 80, 0]);
    });

    test("round robin", async () => {
      expect(await spread(command, ["--partitioner", "round-robin"])).toEqual([20, 20, 20, 20]);
    });

    test("random reaches every partition", async () => {
      expect(Math.min(...(await spread(command, ["--partitioner", "random"])))).toBeGreaterThan(0);
    });

    test("the hash of the key keeps a key in one partition", async () => {
      expect((await spread(command, [], ["--key", "the same"])).filter((count) => count > 0)).toEqual([80]);
    });

    for (const acks of ["0", "1", "all"]) {
      test(`acks ${acks}`, async () => {
        const topic = await place.topic("producer", 1);
        const log = place.path(`${topic}.log`);
        writeFileSync(log, `${lines.join("\n")}\n`);
        const tail = ["tail", log, "--topic", topic, "--once", "--state", place.path(`${topic}.jsonl`)];
        const words = command === "tail" ? tail : ["produce", topic, log];
        expect((await place.run([...words, "--acks", acks])).code).toBe(0);
        expect(await untilValues(place.brokers, topic, lines.length)).toEqual(lines);
      });
    }
  });
}

test("exactly-once with acks below all is a usage error", async () => {
  const words = [
    "tail",
    "x.log",
    "--topic",
    "t",
    "--delivery",
    "exactly-once",
    "--acks",
    "1",
    "--state",
    place.path("x.jsonl"),
  ];
  const { code, stderr } = await place.run(words);
  expect([code, stderr]).toEqual([64, expect.stringContaining("acks")]);
});

testWith(["kcat"])("keys land where Java's producer puts them", async () => {
  const ours = await place.topic("murmur", 7);
  const theirs = await place.topic("murmur", 7);
  const keyed = lines.map((line, i) => `key-${i}\t${line}`).join("\n");
  const options = { stdin: `${keyed}\n` };
  expect((await place.run(["produce", ours, "--key-delimiter", "\t"], options)).code).toBe(0);
  // librdkafka's murmur2_random is Java's default for keyed records.
  const kcat = ["kcat", "-P", "-b", place.brokers, "-t", theirs, "-K", "\t", "-X", "topic.partitioner=murmur2_random"];
  expect((await run(kcat, options)).code).toBe(0);
  await waitFor("kcat's records", async () => (await values(place.brokers, theirs)).length === lines.length);
  for (let partition = 0; partition < 7; partition++) {
    expect(await values(place.brokers, ours, partition)).toEqual(await values(place.brokers, theirs, partition));
  }
});
