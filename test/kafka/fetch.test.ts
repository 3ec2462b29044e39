/** The fetch loop against a network that loses, cuts and resets, a broker that restarts, and offsets that are gone. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { Kafka, logLevel, type Producer } from "kafkajs";
import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { type Fetched, Fetcher, type FetchOptions, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { type Fields, type Log, silentLog } from "../../src/observe/log.ts";
import { waitFor } from "../support/wait.ts";
import { type KafkaCluster, startKafka, uniqueTopic } from "./broker.ts";
import { apiKeys, type FaultProxy, startProxy } from "./proxy.ts";

const partitions = 3;
let proxy: FaultProxy;
let cluster: KafkaCluster;
let kafka: Kafka;
let producer: Producer;

beforeAll(async () => {
  proxy = await startProxy();
  cluster = await startKafka({ advertised: () => proxy.port });
  proxy.target = cluster.ports[0] as number;
  // Writes past the proxy: only reading is under test.
  kafka = new Kafka({
    brokers: [cluster.direct],
    logLevel: logLevel.NOTHING,
    retry: { retries: 50, maxRetryTime: 500 },
  });
  producer = kafka.producer();
  await producer.connect();
}, 120_000);

afterEach(() => proxy.heal());
afterAll(async () => {
  await producer?.disconnect();
  await proxy.close();
  await cluster.stop();
});

/** A reader of a whole topic from the start, with what it got and what it said. */
class Follower {
  readonly values: string[][] = Array.from({ length: partitions }, () => []);
  readonly said: string[] = [];
  readonly client: KafkaClient;
  readonly fetcher: Fetcher;
  ended: Promise<void> = Promise.resolve();

  constructor(options: Partial<FetchOptions> = {}) {
    const connection = { brokers: [cluster.brokers], clientId: "test", connectTimeout: 1000, requestTimeout: 1000 };
    const note = (message: string, fields?: Fields) => this.said.push(`${message} ${JSON.stringify(fields ?? {})}`);
    const log: Log = { ...silentLog, warn: note };
    this.client = createClient(connection, silentLog);
    const quick = { maxWait: 100, requestTimeout: 1000, maxBytes: 200_000, partitionBytes: 50_000 };
    this.fetcher = new Fetcher(this.client, { ...fetchDefaults, ...quick, ...options }, log);
  }

  async follow(topic: string, end = Number.POSITIVE_INFINITY, offset = 0): Promise<void> {
    await waitFor("metadata", () => this.client.metadata([topic]));
    this.fetcher.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset, end })));
    this.ended = this.read();
    this.ended.catch(() => {});
  }

  private async read(): Promise<void> {
    for (let part = await this.fetcher.next(); part; part = await this.fetcher.next()) {
      const reader = new RecordSetReader(part.records, part);
      for (let block = reader.next(); block; block = reader.next()) {
        for (let i = 0; i < block.count; i++) this.values[part.partition]?.push(String(block.value(i)));
      }
    }
  }

  get total(): number {
    return this.values.reduce((sum, { length }) => sum + length, 0);
  }

  async close(): Promise<void> {
    this.fetcher.close();
    await this.client.close();
  }
}

async function write(topic: string, from: number, count: number): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const messages = Array.from({ length: count }, (_, i) => ({ value: `${from + i}:${"x".repeat(100)}`, partition }));
    await producer.send({ topic, messages });
  }
}

/** Writes all the time while `disturb` runs; then every record must have come once and in order. */
async function underFault(disturb: () => Promise<void>): Promise<void> {
  const topic = await cluster.createTopic(uniqueTopic("fetch"), partitions);
  const follower = new Follower();
  let written = 0;
  let disturbing = true;
  await write(topic, 0, 500);
  written += 500;
  await follower.follow(topic);
  await waitFor("the first records", () => follower.total > 0);
  const fault = disturb().finally(() => {
    proxy.heal();
    disturbing = false;
  });
  while (disturbing) {
    await write(topic, written, 100);
    written += 100;
  }
  await fault;
  await write(topic, written, 100);
  written += 100;
  await waitFor("all records", () => follower.total >= written * partitions, { timeout: 40_000 });
  await follower.close();
  await follower.ended;
  const expected = Array.from({ length: written }, (_, i) => `${i}`);
  for (const values of follower.values) expect(values.map((value) => value.split(":")[0] as string)).toEqual(expected);
}

async function everyFetch(n: number, times: number, action: "close" | "drop"): Promise<void> {
  let seen = 0;
  let done = 0;
  proxy.hook = (frame) => {
    if (frame.apiKey !== apiKeys.Fetch || frame.stage !== "response" || done >= times || ++seen % n !== 0)
      return undefined;
    done++;
    return action;
  };
  await waitFor("the faults to have happened", () => done >= times);
}

test("responses that are lost", () => underFault(() => everyFetch(3, 3, "drop")), 60_000);

test("connections reset before a response", () => underFault(() => everyFetch(2, 10, "close")), 60_000);

test(
  "connections cut inside a response",
  () =>
    underFault(async () => {
      proxy.down = { kind: "cut", bytes: 70_001 };
      const { accepted } = proxy;
      await waitFor("some cuts", () => proxy.accepted > accepted + 6);
    }),
  60_000,
);

test(
  "a network that is away for a while",
  () =>
    underFault(async () => {
      proxy.refuse = true;
      proxy.reset();
      await new Promise((resolve) => setTimeout(resolve, 2500));
    }),
  60_000,
);

test(
  "the broker is killed and started again",
  () =>
    underFault(async () => {
      await cluster.nodes[0]?.kill();
      await cluster.nodes[0]?.start();
    }),
  90_000,
);

test("with an end to reach and nobody answering it gives up after its time-out", async () => {
  const topic = await cluster.createTopic(uniqueTopic("fetch"), partitions);
  await write(topic, 0, 10);
  const follower = new Follower({ timeout: 1500 });
  await follower.follow(topic, 1000);
  await waitFor("the first records", () => follower.total === 30);
  proxy.refuse = true;
  proxy.reset();
  await expect(follower.ended).rejects.toMatchObject({ code: "BROKER_UNAVAILABLE" });
  await follower.close();
}, 30_000);

test("offsets deleted by retention: on from the start of the log, and it says so", async () => {
  const topic = await cluster.createTopic(uniqueTopic("fetch"), partitions);
  await write(topic, 0, 100);
  const admin = kafka.admin();
  await admin.connect();
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "60" }] });
  await admin.disconnect();
  const follower = new Follower();
  await follower.follow(topic, 100);
  await follower.ended;
  await follower.close();
  expect(follower.values.map(({ length }) => length)).toEqual([40, 100, 100]);
  expect(follower.said).toEqual([expect.stringContaining(`"from":0,"to":60`)]);
});

test("a position behind the end of the log: on from its end", async () => {
  const topic = await cluster.createTopic(uniqueTopic("fetch"), partitions);
  await write(topic, 0, 10);
  const follower = new Follower();
  await follower.follow(topic, Number.POSITIVE_INFINITY, 50);
  await waitFor("three warnings", () => follower.said.length === partitions);
  await write(topic, 10, 5);
  await waitFor("the new records", () => follower.total === 5 * partitions);
  expect(follower.values[2]?.map((value) => value.split(":")[0])).toEqual(["10", "11", "12", "13", "14"]);
  await follower.close();
});

test("records stay until they are released, and then their memory is used again", async () => {
  const topic = await cluster.createTopic(uniqueTopic("fetch"), partitions);
  for (let i = 0; i < 30; i++) await write(topic, i * 200, 200);
  const valuesOf = (part: Fetched) => {
    const reader = new RecordSetReader(part.records, part);
    const values: string[] = [];
    for (let block = reader.next(); block; block = reader.next()) {
      for (let i = 0; i < block.count; i++) values.push(String(block.value(i)).split(":")[0] as string);
    }
    return values;
  };
  const expected = Array.from({ length: 6000 }, (_, i) => `${i}`);
  const all: string[][] = Array.from({ length: partitions }, () => expected);
  const readAll = async (use: (part: Fetched) => void) => {
    const follower = new Follower({ maxBytes: 300_000, partitionBytes: 100_000 });
    await waitFor("metadata", () => follower.client.metadata([topic]));
    follower.fetcher.assign(all.map((_, partition) => ({ topic, partition, offset: 0, end: 6000 })));
    for (let part = await follower.fetcher.next(); part; part = await follower.fetcher.next()) use(part);
    await follower.close();
  };

  const held: Fetched[] = [];
  await readAll((part) => held.push(part));
  const late: string[][] = all.map(() => []);
  for (const part of held) late[part.partition]?.push(...valuesOf(part));
  expect(late).toEqual(all);

  const buffers = new Set<ArrayBufferLike>();
  const early: string[][] = all.map(() => []);
  await readAll((part) => {
    if (part.records.length >= 64 << 10) buffers.add(part.records.buffer);
    early[part.partition]?.push(...valuesOf(part));
    part.release();
  });
  expect(early).toEqual(all);
  expect(held.length).toBeGreaterThan(10);
  expect(buffers.size).toBeLessThanOrEqual(4);
}, 30_000);
