/**
 * What logcatchsys did, a follower of many files: many files from a config file (key → path); keys added, changed and removed while it runs;
 * one shared producer; the record key is the config key; a topic created with 16 partitions; waits for all replicas.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { Oracle } from "../faults/oracle.ts";
import { readTopic } from "../faults/read-topic.ts";
import { uniqueTopic } from "../kafka/broker.ts";
import { metadata } from "../kafka/request.ts";
import { LineWriter } from "../support/lines.ts";
import { pause, waitFor } from "../support/wait.ts";
import { makePlace, type Place } from "./helpers.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace("logcatchsys");
}, 120_000);

afterAll(() => place.stopAll());

function config(topic: string, inputs: Record<string, string>): string {
  const lines = Object.entries(inputs).map(([key, path]) => `  ${key}: ${path}`);
  const head = ["connection:", `  brokers: [${place.brokers}]`, `state: ${place.path(`${topic}.jsonl`)}`];
  const defaults = [
    "defaults:",
    `  topic: ${topic}`,
    '  key: "{input}"',
    '  create_topic: "16:1"',
    "  from: beginning",
  ];
  return `${[...head, "producer:", "  acks: all", ...defaults, "inputs:", ...lines].join("\n")}\n`;
}

async function consume(topic: string, format: string): Promise<string[]> {
  const { code, stdout, stderr } = await place.run(["consume", topic, "-O", "start", "-e", "-f", format]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.split("\n").filter(Boolean);
}

test("twenty inputs under load; ten edits lose and repeat nothing on the inputs that stay", async () => {
  const topic = uniqueTopic("logcatchsys");
  const file = place.path("logagent.yaml");
  const writers = Array.from({ length: 20 }, (_, i) => new LineWriter(place.path(`input${i}.log`), `input${i}`));
  const inputs = Object.fromEntries(writers.map(({ file: name, path }) => [name, path]));
  writeFileSync(file, config(topic, inputs));
  const agent = place.start(["tail", "--config", file]);
  const timer = setInterval(() => {
    for (const writer of writers) writer.write(2);
  }, 10);
  try {
    await agent.says(/created/);
    const extra = place.path("extra.log");
    writeFileSync(extra, "");
    for (let edit = 1; edit <= 10; edit++) {
      const changed: Record<string, string> = { ...inputs };
      // The last two inputs come and go; each fourth edit is broken and must change nothing.
      if (edit % 2 === 0) delete changed.input19;
      if (edit % 3 === 0) changed.input18 = extra;
      changed[`added${edit}`] = extra;
      writeFileSync(file, edit % 4 === 0 ? "inputs: [\n" : config(topic, changed));
      await pause(400);
    }
    writeFileSync(file, config(topic, inputs));
    await pause(1_000);
  } finally {
    clearInterval(timer);
  }
  const stay = new Set(writers.slice(0, 18).map((writer) => writer.file));
  const written = new Map(
    writers.filter((writer) => stay.has(writer.file)).map((writer) => [writer.file, writer.written]),
  );
  const judge = async () => {
    const oracle = new Oracle();
    await readTopic(place.brokers, topic, (partition, value) => {
      if (stay.has(value.slice(0, value.indexOf(" ")))) oracle.add(partition, value);
    });
    return oracle.judge(written);
  };
  await waitFor("every line of the inputs that stay", async () => (await judge()).lost === 0, { every: 500 });
  expect((await agent.stop()).code).toBe(0);
  const { lost, repeated, damaged, unwritten, reordered, examples } = await judge();
  expect({ lost, repeated, damaged, unwritten, reordered, examples }).toEqual({
    ...{ lost: 0, repeated: 0, damaged: 0, unwritten: 0, reordered: 0, examples: [] },
  });
  const { topics } = await metadata(place.brokers, [topic]);
  expect(topics[0]?.partitions).toHaveLength(16);
  const pairs = new Set((await consume(topic, "%k %v\\n")).map((line) => line.split(" ", 2).join(" ")));
  for (const name of stay) expect(pairs).toContain(`${name} ${name}`);
}, 120_000);

test("an input added while it runs is followed, a removed one is not, and its file is taken up again later", async () => {
  const topic = uniqueTopic("logcatchsys");
  const file = place.path("add.yaml");
  const [a, b] = [place.path("a.log"), place.path("b.log")];
  writeFileSync(a, "a1\n");
  writeFileSync(b, "b1\n");
  writeFileSync(file, config(topic, { a }));
  const agent = place.start(["tail", "--config", file]);
  const holds = (values: string[]) =>
    waitFor(`${values} in the topic`, async () => {
      const got = await consume(topic, "%v\\n").catch(() => []);
      return JSON.stringify(got.sort()) === JSON.stringify(values);
    });
  await holds(["a1"]);
  writeFileSync(file, config(topic, { a, b }));
  await holds(["a1", "b1"]);
  writeFileSync(file, config(topic, { a }));
  await pause(1_000);
  appendFileSync(b, "b2\n");
  appendFileSync(a, "a2\n");
  await holds(["a1", "a2", "b1"]);
  writeFileSync(file, config(topic, { a, b }));
  await holds(["a1", "a2", "b1", "b2"]);
  expect((await agent.stop()).code).toBe(0);
}, 60_000);
