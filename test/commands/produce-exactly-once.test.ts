/** `logagent produce --delivery exactly-once` through a proxy that loses what it likes: committed readers see all once. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { type KafkaCluster, startKafka, uniqueTopic } from "../kafka/broker.ts";
import { readTopic } from "../kafka/producing.ts";
import { apiKeys, type FaultProxy, type Stage, startProxy } from "../kafka/proxy.ts";
import { type Running, startLogagent } from "../support/process.ts";
import { pause, waitFor } from "../support/wait.ts";

let proxy: FaultProxy;
let kafka: KafkaCluster;

beforeAll(async () => {
  proxy = await startProxy();
  kafka = await startKafka({ advertised: () => proxy.port });
  proxy.target = kafka.ports[0] as number;
}, 120_000);

afterEach(() => proxy.heal());

afterAll(async () => {
  await proxy.close();
  await kafka.stop();
});

/** Feeds numbered lines to stdin while `disturb` runs, then compares what committed readers see. */
async function run(disturb: (producer: Running) => Promise<void>, ...flags: string[]): Promise<void> {
  const topic = await kafka.createTopic(uniqueTopic("once"), 2);
  const words = ["produce", topic, "-b", kafka.brokers, "--delivery", "exactly-once", "--request-timeout", "2s"];
  const producer = startLogagent([...words, ...flags], { stdin: "pipe" });
  let written = 0;
  const load = setInterval(() => {
    const lines = Array.from({ length: 20 }, () => `line ${written++}\n`);
    producer.child.stdin?.write(lines.join(""));
  }, 10);
  try {
    await disturb(producer);
  } finally {
    clearInterval(load);
    proxy.heal();
  }
  await pause(300);
  producer.child.stdin?.end();
  const { code, stderr } = await producer.exited;
  expect([code, stderr]).toEqual([0, ""]);
  const seen = (await readTopic(kafka.direct, topic)).map(({ value }) => Number(value?.toString().slice(5)));
  expect(written).toBeGreaterThan(100);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: written }, (_, i) => i));
}

/** Resets the connection at each second such request, four times. */
async function lose(apiKey: number, stage: Stage): Promise<void> {
  let [seen, done] = [0, 0];
  proxy.hook = (frame) => {
    if (frame.apiKey !== apiKey || frame.stage !== stage || done >= 4 || ++seen % 2 !== 0) return undefined;
    done++;
    return "close";
  };
  await waitFor("the faults to have happened", () => done >= 4, { timeout: 30_000 });
}

for (const name of ["Produce", "AddPartitionsToTxn", "EndTxn"] as const) {
  for (const stage of ["request", "sent", "response"] as const) {
    test(`${name} lost at ${stage}: every record once`, () => run(() => lose(apiKeys[name], stage)), 60_000);
  }
}

test("a broker that is killed and started again: every record once", async () => {
  await run(async () => {
    await pause(1_000);
    await kafka.nodes[0]!.kill();
    await pause(500);
    await kafka.nodes[0]!.start();
    await pause(1_000);
  });
}, 90_000);

test("a topic that is created again with fewer partitions while records wait: every record once", async () => {
  const topic = await kafka.createTopic(uniqueTopic("fewer"), 6);
  const words = ["produce", topic, "-b", kafka.brokers, "--delivery", "exactly-once", "--partitioner", "round-robin"];
  const producer = startLogagent([...words, "-o", "%o\n"], { stdin: "pipe" });
  producer.child.stdin?.write("before\n");
  await waitFor("the first record", () => producer.stdout === "0\n");
  expect((await startLogagent(["topics", "delete", topic, "-b", kafka.direct]).exited).code).toBe(0);
  await pause(1_000);
  const values = Array.from({ length: 600 }, (_, i) => `line ${i}`);
  producer.child.stdin?.write(`${values.join("\n")}\n`);
  await pause(1_000);
  await kafka.createTopic(topic, 2);
  producer.child.stdin?.end();
  expect((await producer.exited).code).toBe(0);
  const seen = (await readTopic(kafka.direct, topic)).map(({ value }) => value?.toString() ?? "");
  expect(seen.sort()).toEqual(values.sort());
}, 90_000);

test("a second producer with the same --transactional-id ends the first with 78", async () => {
  const topic = await kafka.createTopic(uniqueTopic("fence"), 1);
  const words = ["produce", topic, "-b", kafka.brokers, "--delivery", "exactly-once", "--transactional-id", topic];
  const first = startLogagent([...words, "-o", "%o\\n"], { stdin: "pipe" });
  first.child.stdin?.write("a\n");
  await waitFor("the first record", () => first.stdout === "0\n");
  const second = startLogagent([...words, "--value", "b"]);
  expect((await second.exited).code).toBe(0);
  first.child.stdin?.end("c\n");
  const { code, stderr } = await first.exited;
  expect([code, stderr]).toEqual([78, expect.stringContaining("took over the transactional id")]);
  expect((await readTopic(kafka.direct, topic)).map(({ value }) => value?.toString())).toEqual(["a", "b"]);
}, 60_000);

test("acks 1 with exactly-once, and an id without it, are usage errors", async () => {
  for (const flags of [
    ["--delivery", "exactly-once", "--acks", "1"],
    ["--transactional-id", "x"],
  ]) {
    const result = await startLogagent(["produce", "t", "-b", kafka.brokers, "--value", "x", ...flags]).exited;
    expect(result.code).toBe(64);
  }
});
