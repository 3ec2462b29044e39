/** The producer against a real broker. */

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { execFileSync } from "node:child_process";
import type { Lines } from "../../src/lines.ts";
import { readLine } from "../support/lines.ts";
import { testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";
import { createTopic, endOffsets, type KafkaCluster, kafkaTool, startKafka, uniqueTopic } from "./broker.ts";
import { clean, judge, linesOf, plainRoute, readTopic, TestProducer } from "./producing.ts";

let kafka: KafkaCluster;

setDefaultTimeout(60_000);

beforeAll(async () => {
  kafka = await startKafka();
}, 120_000);

afterAll(() => kafka.stop());

async function finish(producer: TestProducer): Promise<void> {
  expect(await producer.sink.flush(30_000)).toBe(true);
  expect(producer.sink.buffered).toBe(0);
  await producer.sink.close();
}

const sum = (offsets: bigint[]) => offsets.reduce((a, b) => a + b, 0n);

const topicFor = (partitions: number, config: Record<string, string> = {}) =>
  kafka.createTopic(uniqueTopic("producer"), partitions, config);

const admin = (...args: string[]) =>
  kafkaTool("org.apache.kafka.tools.TopicCommand", ["--bootstrap-server", kafka.direct, ...args]);

for (const acks of [-1, 1, 0] as const) {
  for (const lingerMs of [0, 5]) {
    test(`acks ${acks}, linger ${lingerMs}: every line once, in order, positions contiguous`, async () => {
      const topic = await topicFor(3);
      const producer = new TestProducer(kafka.brokers, { acks, lingerMs });
      await producer.sink.prepare(topic);
      for (let i = 0; i < 60; i++) {
        await producer.feed(plainRoute(topic), 150);
        if (i % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await finish(producer);
      expect(producer.positions()).toEqual([[0, producer.end]]);
      // With acks 0 the broker may still be at it.
      await waitFor("all records", async () => sum(await endOffsets(kafka.direct, topic)) >= BigInt(producer.total));
      expect(judge(await readTopic(kafka.direct, topic), producer.total)).toEqual(clean);
      const offsets = producer.settled.map(({ outcome }) => (outcome.kind === "acked" ? outcome.offset : null));
      if (acks === 0) expect(offsets.every((offset) => offset === -1n)).toBe(true);
      else expect(offsets.filter((offset) => offset === 0n)).toHaveLength(3);
    }, 30_000);
  }
}

test("keys, headers, timestamps, tombstones and partitions arrive as they were given", async () => {
  const topic = await topicFor(4);
  const producer = new TestProducer(kafka.brokers);
  await producer.sink.prepare(topic);
  const route = plainRoute(topic, {
    partitioner: "key",
    key: (_: Lines, i: number) => (i === 0 ? null : Buffer.from(`key-${i}`)),
    headers: (_: Lines, i: number) => [
      { key: "n", value: Buffer.from(String(i)) },
      { key: "empty", value: null },
    ],
    timestamp: (_: Lines, i: number) => 1_000_000 - i,
    tombstone: (_: Lines, i: number) => i === 2,
    partition: (_: Lines, i: number) => (i === 3 ? 2 : null),
  });
  producer.sink.append(linesOf(["a", "", "gone", "d"]), route);
  await finish(producer);
  const records = (await readTopic(kafka.direct, topic)).sort((a, b) => b.timestamp - a.timestamp);
  expect(records.map(({ key, value, timestamp }) => [key, value?.toString() ?? null, timestamp])).toEqual([
    [null, "a", 1_000_000],
    ["key-1", "", 999_999],
    ["key-2", null, 999_998],
    ["key-3", "d", 999_997],
  ]);
  expect(records[3]?.partition).toBe(2);
  expect(records[1]?.headers).toEqual([
    ["n", "1"],
    ["empty", null],
  ]);
});

testWith(["kcat"])(
  "kcat reads what we write, with every codec, and puts keys into the same partitions",
  async () => {
    const topic = await topicFor(6);
    for (const compression of ["none", "gzip", "snappy", "lz4", "zstd"] as const) {
      const producer = new TestProducer(kafka.brokers, { compression });
      await producer.sink.prepare(topic);
      const keys = Array.from({ length: 500 }, (_, i) => `${compression}-${i}`);
      const route = plainRoute(topic, {
        partitioner: "key",
        key: (_: Lines, i: number) => Buffer.from(keys[i] as string),
      });
      producer.sink.append(linesOf(keys.map((key) => `value of ${key} ${"x".repeat(key.length * 3)}`)), route);
      await finish(producer);
    }
    const theirs = await topicFor(6);
    const read = ["-C", "-b", kafka.direct, "-e", "-q", "-f", "%p %k %s\\n"];
    const ours = execFileSync("kcat", [...read, "-t", topic])
      .toString()
      .trim()
      .split("\n");
    expect(ours).toHaveLength(2_500);
    const input = ours.map((line) => line.split(" ").slice(1).join("\t").replace("\t", ":")).join("\n");
    execFileSync("kcat", ["-P", "-b", kafka.direct, "-t", theirs, "-K:", "-X", "topic.partitioner=murmur2"], { input });
    const placed = (lines: string[]) => lines.map((line) => line.split(" ").slice(0, 2).join(" ")).sort();
    expect(
      placed(
        execFileSync("kcat", [...read, "-t", theirs])
          .toString()
          .trim()
          .split("\n"),
      ),
    ).toEqual(placed(ours));
  },
  60_000,
);

test("round-robin and random reach all partitions, an explicit one only itself", async () => {
  const topic = await topicFor(3);
  const producer = new TestProducer(kafka.brokers);
  await producer.sink.prepare(topic);
  const counts = async () => {
    const found = [0, 0, 0];
    for (const { partition } of await readTopic(kafka.direct, topic)) found[partition] = (found[partition] ?? 0) + 1;
    return found;
  };
  await producer.feed(plainRoute(topic, { partitioner: "round-robin" }), 300);
  expect(await producer.sink.flush(10_000)).toBe(true);
  expect(await counts()).toEqual([100, 100, 100]);
  await producer.feed(plainRoute(topic, { partitioner: 1 }), 50);
  expect(await producer.sink.flush(10_000)).toBe(true);
  expect(await counts()).toEqual([100, 150, 100]);
  await producer.feed(plainRoute(topic, { partitioner: "random" }), 600);
  await finish(producer);
  for (const count of await counts()) expect(count).toBeGreaterThan(200);
  expect(() => producer.sink.append(linesOf(["x"]), plainRoute(topic, { partitioner: 3 }))).toThrow(
    "partitions 0 to 2",
  );
});

test("batches too large for the topic are split; a record too large is dropped, and nothing else", async () => {
  const topic = await topicFor(1, { "max.message.bytes": "3000" });
  for (const compression of ["none", "lz4"] as const) {
    const producer = new TestProducer(kafka.brokers, { compression, batchBytes: 65_536 });
    await producer.sink.prepare(topic);
    await producer.feed(plainRoute(topic), 300);
    const noise = crypto.getRandomValues(new Uint8Array(8_000));
    producer.sink.append(linesOf([noise], 1e6, 2), plainRoute(topic));
    await producer.feed(plainRoute(topic), 300);
    await finish(producer);
    expect(producer.dropped).toBe(1);
    expect(producer.acked).toBe(600);
    const dropped = producer.settled.filter(({ outcome }) => outcome.kind === "dropped");
    expect(
      dropped.map(({ outcome, batch }) => [outcome.kind === "dropped" && outcome.name, batch.ranges[0]?.file]),
    ).toEqual([["MESSAGE_TOO_LARGE", 2]]);
    expect(producer.eventsNamed("producer-state-lost")).toEqual([]);
    const records = await readTopic(kafka.direct, topic);
    expect(judge(compression === "none" ? records : records.slice(600), 600)).toEqual(clean);
    for (const range of producer.ranges) expect(range.pending).toBe(0);
  }
}, 30_000);

test("the sequence wraps at 2^31 under load", async () => {
  const topic = await topicFor(1);
  const producer = new TestProducer(kafka.brokers, { firstSequence: 2 ** 31 - 5_000, batchBytes: 4_096 });
  await producer.sink.prepare(topic);
  for (let i = 0; i < 100; i++) await producer.feed(plainRoute(topic), 100);
  await finish(producer);
  expect(producer.events.filter(({ level }) => level !== "debug")).toEqual([]);
  expect(judge(await readTopic(kafka.direct, topic), 10_000)).toEqual(clean);
  const { stdout } = await kafkaTool("org.apache.kafka.tools.TransactionsCommand", [
    ...["--bootstrap-server", kafka.direct, "describe-producers", "--topic", topic, "--partition", "0"],
  ]);
  expect(stdout.toString()).toMatch(/\s4999\s/);
}, 60_000);

test("a topic that was deleted and created again goes on from its beginning", async () => {
  const topic = await topicFor(2);
  const producer = new TestProducer(kafka.brokers);
  await producer.sink.prepare(topic);
  await producer.feed(plainRoute(topic), 500);
  expect(await producer.sink.flush(10_000)).toBe(true);
  await admin("--delete", "--topic", topic);
  const before = producer.total;
  await producer.feed(plainRoute(topic), 500);
  await waitFor("the producer to see it", () => producer.eventsNamed("topic-missing").length > 0);
  await createTopic(kafka.direct, topic, 2);
  await finish(producer);
  const records = await readTopic(kafka.direct, topic);
  expect(judge(records, producer.total)).toEqual({ ...clean, lost: before });
  expect(producer.eventsNamed("topic-recreated")).toHaveLength(1);
  expect(producer.eventsNamed("producer-state-lost")).toEqual([]);
}, 60_000);

test("a topic that was created again with fewer partitions: what was for the others goes to those that are left", async () => {
  const topic = await topicFor(6);
  const producer = new TestProducer(kafka.brokers);
  await producer.sink.prepare(topic);
  await producer.feed(plainRoute(topic, { partitioner: "round-robin" }), 60);
  expect(await producer.sink.flush(10_000)).toBe(true);
  await admin("--delete", "--topic", topic);
  const before = producer.total;
  for (let p = 0; p < 6; p++) await producer.feed(plainRoute(topic, { partitioner: p }), 300);
  await waitFor("the producer to see it", () => producer.eventsNamed("topic-missing").length > 0);
  await createTopic(kafka.direct, topic, 2);
  await waitFor("the producer to see the new one", () => producer.eventsNamed("topic-recreated").length > 0);
  await producer.feed(plainRoute(topic), 100);
  await finish(producer);
  const records = await readTopic(kafka.direct, topic);
  expect(judge(records, producer.total)).toEqual({ ...clean, lost: before, disordered: expect.any(Number) });
  // Each old partition's lines are in order, in the partition that stands in for it.
  for (let p = 0; p < 6; p++) {
    const [first, last] = [before + p * 300, before + p * 300 + 300];
    const numbers = records
      .map(({ partition, value }) => ({ partition, number: readLine(value?.toString() ?? "")?.number ?? 0 }))
      .filter(({ number }) => number > first && number <= last);
    expect(numbers.map(({ number }) => number)).toEqual(Array.from({ length: 300 }, (_, i) => first + i + 1));
    expect(new Set(numbers.map(({ partition }) => partition))).toEqual(new Set([p % 2]));
  }
  expect(producer.eventsNamed("partition-gone").map(({ partition }) => partition)).toEqual([2, 3, 4, 5]);
}, 60_000);

test("records deleted with the producer's state: the producer goes on, nothing lost or repeated", async () => {
  const topic = await topicFor(1);
  const [seconds, errors]: [number[], string[]] = [[], []];
  const onProduced = (time: number) => seconds.push(time);
  const producer = new TestProducer(kafka.brokers, { onProduced, onProduceError: (code) => errors.push(code) });
  await producer.sink.prepare(topic);
  await producer.feed(plainRoute(topic), 100);
  expect(await producer.sink.flush(10_000)).toBe(true);
  expect(errors).toEqual([]);
  // Another epoch of our own producer id, as if the broker had lost or advanced our state.
  const queue = (
    producer.sink as never as { accumulator: { topic(name: string): { partitions: { nextSequence: number }[] } } }
  ).accumulator.topic(topic).partitions[0];
  if (queue) queue.nextSequence += 1_000;
  await producer.feed(plainRoute(topic), 100);
  await finish(producer);
  expect(producer.eventsNamed("producer-state-refused").length).toBeGreaterThan(0);
  expect(errors).toContain("OUT_OF_ORDER_SEQUENCE_NUMBER");
  expect(seconds.length).toBe(producer.settled.length);
  expect(seconds.every((time) => time > 0 && time < 30)).toBe(true);
  expect(producer.eventsNamed("producer-state-lost")).toEqual([]);
  expect(judge(await readTopic(kafka.direct, topic), 200)).toEqual(clean);
}, 30_000);

test("no such topic, and a topic that was not prepared", async () => {
  const producer = new TestProducer(kafka.brokers);
  await expect(producer.sink.prepare("no-such-topic")).rejects.toThrow("logagent topics create no-such-topic");
  expect(() => producer.sink.append(linesOf(["x"]), plainRoute("unprepared"))).toThrow("not prepared");
  await producer.sink.close();
});

test("a chunk without records settles at once, and ranges close with their chunk and their batch", async () => {
  const topic = await topicFor(1);
  const producer = new TestProducer(kafka.brokers, { batchBytes: 1_000 });
  await producer.sink.prepare(topic);
  producer.sink.append({ ...linesOf([]), to: 77 }, plainRoute(topic));
  expect(producer.positions()).toEqual([[0, 77]]);
  const lines = linesOf(
    Array.from({ length: 50 }, () => "0123456789".repeat(10)),
    77,
  );
  producer.sink.append({ ...lines, to: lines.to + 5 }, plainRoute(topic));
  await finish(producer);
  expect(producer.positions()).toEqual([[0, lines.to + 5]]);
  expect(producer.settled.every(({ batch }) => batch.ranges.length === 1)).toBe(true);
});
