/** `logagent produce --delivery exactly-once` through a proxy that loses what it likes: committed readers see all once. */
import { expect, test } from "bun:test";
import { endOffsets, uniqueTopic } from "../kafka/broker.ts";
import { readTopic } from "../kafka/producing.ts";
import { proxiedKafka } from "../kafka/proxied.ts";
import { apiKeys, type Stage } from "../kafka/proxy.ts";
import { type Running, startLogagent } from "../support/process.ts";
import { pause, waitFor } from "../support/wait.ts";

/** As brokers before 3.6: whoever has the epoch may write, whether a transaction was begun or not. */
const node = proxiedKafka({ "transaction.partition.verification.enable": "false" });

/** Feeds numbered lines to stdin while `disturb` runs, then compares what committed readers see. */
async function run(disturb: (producer: Running) => Promise<void>, ...flags: string[]): Promise<void> {
  const topic = await node.kafka.createTopic(uniqueTopic("once"), 2);
  const words = ["produce", topic, "-b", node.kafka.brokers, "--delivery", "exactly-once", "--request-timeout", "2s"];
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
    node.proxy.heal();
  }
  await pause(300);
  producer.child.stdin?.end();
  const { code, stderr } = await producer.exited;
  expect([code, stderr]).toEqual([0, ""]);
  const seen = (await readTopic(node.kafka.direct, topic)).map(({ value }) => Number(value?.toString().slice(5)));
  expect(written).toBeGreaterThan(100);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: written }, (_, i) => i));
}

/** Resets the connection at each second such request, four times. */
async function lose(apiKey: number, stage: Stage): Promise<void> {
  let [seen, done] = [0, 0];
  node.proxy.hook = (frame) => {
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
    await node.kafka.nodes[0]!.kill();
    await pause(500);
    await node.kafka.nodes[0]!.start();
    await pause(1_000);
  });
}, 90_000);

test("a topic that is created again with fewer partitions while records wait: every record once", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("fewer"), 6);
  const words = [
    "produce",
    topic,
    "-b",
    node.kafka.brokers,
    "--delivery",
    "exactly-once",
    "--partitioner",
    "round-robin",
  ];
  const producer = startLogagent([...words, "-o", "%o\n"], { stdin: "pipe" });
  producer.child.stdin?.write("before\n");
  await waitFor("the first record", () => producer.stdout === "0\n");
  expect((await startLogagent(["topics", "delete", topic, "-b", node.kafka.direct]).exited).code).toBe(0);
  await pause(1_000);
  const values = Array.from({ length: 600 }, (_, i) => `line ${i}`);
  producer.child.stdin?.write(`${values.join("\n")}\n`);
  await pause(1_000);
  await node.kafka.createTopic(topic, 2);
  producer.child.stdin?.end();
  expect((await producer.exited).code).toBe(0);
  const seen = (await readTopic(node.kafka.direct, topic)).map(({ value }) => value?.toString() ?? "");
  expect(seen.sort()).toEqual(values.sort());
}, 90_000);

test("a second producer with the same --transactional-id ends the first with 78", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("fence"), 1);
  const words = ["produce", topic, "-b", node.kafka.brokers, "--delivery", "exactly-once", "--transactional-id", topic];
  const first = startLogagent([...words, "-o", "%o\\n"], { stdin: "pipe" });
  first.child.stdin?.write("a\n");
  await waitFor("the first record", () => first.stdout === "0\n");
  const second = startLogagent([...words, "--value", "b"]);
  expect((await second.exited).code).toBe(0);
  first.child.stdin?.end("c\n");
  const { code, stderr } = await first.exited;
  expect([code, stderr]).toEqual([78, expect.stringContaining("took over the transactional id")]);
  expect((await readTopic(node.kafka.direct, topic)).map(({ value }) => value?.toString())).toEqual(["a", "b"]);
}, 60_000);

test("giving up aborts the transaction: readers are not held back", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("given-up"), 1);
  // The records arrive, their acknowledgements do not.
  node.proxy.hook = ({ apiKey, stage }) => (apiKey === apiKeys.Produce && stage === "response" ? "drop" : undefined);
  const words = ["produce", topic, "-b", node.kafka.brokers, "--delivery", "exactly-once", "--timeout", "2s"];
  const { code } = await startLogagent([...words, "--value", "x"]).exited;
  expect(code).toBe(69);
  expect(await endOffsets(node.kafka.direct, topic, false)).not.toEqual([0n]);
  // By itself the transaction would end after 15 s at the earliest.
  await waitFor(
    "the transaction's end",
    async () => {
      const [committed] = await endOffsets(node.kafka.direct, topic, true);
      return committed === (await endOffsets(node.kafka.direct, topic, false))[0];
    },
    { timeout: 8_000 },
  );
}, 60_000);

test("records that are still on their way when it gives up open no transaction behind the abort", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("late"), 1);
  let release = () => {};
  const released = new Promise<undefined>((resolve) => {
    release = () => resolve(undefined);
  });
  let produced = 0;
  let arrived = 0;
  node.proxy.hook = ({ apiKey, stage }) => {
    if (apiKey !== apiKeys.Produce) return undefined;
    if (stage === "request") return ++produced === 1 ? released : "drop";
    arrived++;
    return undefined;
  };
  const words = ["produce", topic, "-b", node.kafka.brokers, "--delivery", "exactly-once", "--value", "x"];
  const { code } = await startLogagent([...words, "--request-timeout", "1s", "--timeout", "3s"]).exited;
  expect(code).toBe(69);
  await waitFor("the abort", async () => (await endOffsets(node.kafka.direct, topic, true))[0] === 1n);
  release();
  await waitFor("the records to arrive", () => arrived > 0);
  await pause(500);
  expect(await endOffsets(node.kafka.direct, topic, false)).toEqual([1n]);
}, 60_000);

test("acks 1 with exactly-once, and an id without it, are usage errors", async () => {
  for (const flags of [
    ["--delivery", "exactly-once", "--acks", "1"],
    ["--transactional-id", "x"],
  ]) {
    const result = await startLogagent(["produce", "t", "-b", node.kafka.brokers, "--value", "x", ...flags]).exited;
    expect(result.code).toBe(64);
  }
});
