/** One broker behind the fault proxy: whatever the network does, every line once and in order. */
import { expect, test } from "bun:test";
import { pause, waitFor } from "../support/wait.ts";
import { endOffsets, uniqueTopic } from "./broker.ts";
import { clean, judge, plainRoute, readTopic, TestProducer } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";
import { apiKeys, type Hook } from "./proxy.ts";

const node = proxiedKafka();

/** Feeds lines while `disturb` runs, heals, and judges what the topic holds. */
async function underFault(disturb: () => Promise<void>, partitioner: "sticky" | "round-robin" | 0 = "sticky") {
  const topic = await node.kafka.createTopic(uniqueTopic("fault"), 3);
  const producer = new TestProducer(node.kafka.brokers);
  await producer.sink.prepare(topic);
  const route = plainRoute(topic, { partitioner });
  let disturbing = true;
  const fault = disturb().finally(() => {
    node.proxy.heal();
    disturbing = false;
  });
  while (disturbing || producer.total < 3_000) {
    await producer.feed(route, 20);
    await pause(1);
  }
  await fault;
  expect(await producer.sink.flush(30_000)).toBe(true);
  expect(producer.positions()).toEqual([[0, producer.end]]);
  await producer.sink.close();
  expect(judge(await readTopic(node.kafka.direct, topic), producer.total)).toEqual(clean);
  expect(producer.most).toBeLessThanOrEqual(4.5 * 2 ** 20);
  return producer;
}

/** Does `action` to each n-th Produce at a stage, `times` times, and waits until it has. */
async function everyProduce(n: number, times: number, stage: string, action: "close" | "drop"): Promise<void> {
  let seen = 0;
  let done = 0;
  const hook: Hook = (frame) => {
    if (frame.apiKey !== apiKeys.Produce || frame.stage !== stage || done >= times) return undefined;
    if (++seen % n !== 0) return undefined;
    done++;
    return action;
  };
  node.proxy.hook = hook;
  await waitFor("the faults to have happened", () => done >= times);
}

test("responses lost with their connection", async () => {
  await underFault(() => everyProduce(4, 15, "response", "close"));
  await underFault(() => everyProduce(7, 15, "response", "close"), "round-robin");
}, 60_000);

test("requests lost with their connection", async () => {
  await underFault(() => everyProduce(5, 15, "request", "close"), 0);
}, 60_000);

test("a single response swallowed: the request times out, the connection is closed, the batch goes again", async () => {
  const before = node.proxy.accepted;
  await underFault(() => everyProduce(6, 2, "response", "drop"));
  expect(node.proxy.accepted - before).toBeGreaterThanOrEqual(2);
}, 60_000);

test("frames cut at any byte", async () => {
  await underFault(async () => {
    for (const bytes of [1, 700, 4_000, 17_000, 33_000]) {
      node.proxy.up = { kind: "cut", bytes };
      await pause(150);
      node.proxy.heal();
      node.proxy.down = { kind: "cut", bytes: 1 + (bytes % 40) };
      await pause(150);
      node.proxy.heal();
      await pause(100);
    }
  });
}, 60_000);

test("resets, a refusing broker, a black hole longer than the request time-out, delays", async () => {
  await underFault(async () => {
    for (let i = 0; i < 10; i++) {
      node.proxy.reset();
      await pause(40);
    }
    node.proxy.refuse = true;
    node.proxy.reset();
    await pause(500);
    node.proxy.heal();
    await pause(100);
    node.proxy.up = { kind: "drop" };
    await pause(2_600);
    node.proxy.heal();
    node.proxy.down = { kind: "hold" };
    await pause(2_600);
    node.proxy.heal();
    node.proxy.up = { kind: "delay", ms: 300 };
    await pause(900);
    node.proxy.down = { kind: "delay", ms: 2_500 };
    await pause(3_000);
  });
}, 60_000);

test("the memory cap pushes back while nothing gets through, and room is announced", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("cap"));
  const producer = new TestProducer(node.kafka.brokers, { memoryBytes: 1 << 20 });
  await producer.sink.prepare(topic);
  let rooms = 0;
  producer.sink.onRoom(() => rooms++);
  node.proxy.up = { kind: "hold" };
  const route = plainRoute(topic);
  while (producer.sink.hasRoom(topic)) await producer.feed(route, 100);
  expect(producer.sink.buffered).toBeLessThan(1.2 * 2 ** 20);
  expect(await producer.sink.flush(50)).toBe(false);
  expect(rooms).toBe(0);
  node.proxy.heal();
  expect(await producer.sink.flush(20_000)).toBe(true);
  expect(rooms).toBe(1);
  expect(producer.sink.buffered).toBe(0);
  await producer.sink.close();
  expect(judge(await readTopic(node.kafka.direct, topic), producer.total)).toEqual(clean);
}, 60_000);

/** Enough under way for a second connection to the broker. */
const plenty = { batchBytes: 256 << 10, memoryBytes: 24 << 20 };

test("much under way takes two connections, each partition one at a time, while answers and requests are lost", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("lanes"), 4);
  const producer = new TestProducer(node.kafka.brokers, plenty);
  await producer.sink.prepare(topic);
  const connections = new Set<number>();
  let [faults, frames, closed] = [false, 0, 0];
  node.proxy.hook = ({ apiKey, stage, connection }) => {
    if (apiKey !== apiKeys.Produce) return undefined;
    connections.add(connection);
    if (!faults || (stage !== "request" && stage !== "response") || ++frames % 41 !== 0) return undefined;
    closed++;
    return "close";
  };
  const route = plainRoute(topic, { partitioner: "round-robin" });
  for (let i = 0; i < 250; i++) {
    await producer.feed(route, 1_000, 200);
    if (i !== 80) continue;
    expect(connections.size).toBe(2);
    faults = true;
  }
  expect(await producer.sink.flush(30_000)).toBe(true);
  node.proxy.heal();
  expect(closed).toBeGreaterThan(2);
  expect(producer.positions()).toEqual([[0, producer.end]]);
  await producer.sink.close();
  expect(judge(await readTopic(node.kafka.direct, topic), producer.total)).toEqual(clean);
}, 60_000);

test("without answers nobody knows when a batch has arrived: one connection, since only that keeps the order", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("unanswered"), 4);
  const producer = new TestProducer(node.kafka.brokers, { ...plenty, acks: 0 });
  await producer.sink.prepare(topic);
  const connections = new Set<number>();
  node.proxy.hook = ({ apiKey, connection }) => {
    if (apiKey === apiKeys.Produce) connections.add(connection);
    return undefined;
  };
  const route = plainRoute(topic, { partitioner: "round-robin" });
  for (let i = 0; i < 150; i++) await producer.feed(route, 1_000, 200);
  expect(await producer.sink.flush(30_000)).toBe(true);
  await waitFor("the records to arrive", async () => {
    const ends = await endOffsets(node.kafka.direct, topic, false);
    return ends.reduce((sum, end) => sum + end, 0n) === BigInt(producer.total);
  });
  await producer.sink.close();
  expect(connections.size).toBe(1);
  expect(judge(await readTopic(node.kafka.direct, topic), producer.total)).toEqual(clean);
}, 60_000);

test("a broker that allows one connection gets everything over it", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("narrow"), 4);
  const producer = new TestProducer(node.kafka.brokers, plenty);
  await producer.sink.prepare(topic);
  const before = node.proxy.accepted;
  node.proxy.refuse = true;
  const route = plainRoute(topic, { partitioner: "round-robin" });
  for (let i = 0; i < 150; i++) await producer.feed(route, 1_000, 200);
  expect(await producer.sink.flush(30_000)).toBe(true);
  expect(node.proxy.accepted - before).toBe(1);
  expect(producer.eventsNamed("broker-unavailable")).toHaveLength(1);
  await producer.sink.close();
  node.proxy.heal();
  expect(judge(await readTopic(node.kafka.direct, topic), producer.total)).toEqual(clean);
}, 60_000);
