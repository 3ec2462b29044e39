/**
 * A topic that is deleted and created again while it is followed: all of the new one is read, however many records it has
 * by then, with and without a group; who reads up to an end is told.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { deleteTopics } from "../../src/kafka/admin/topics.ts";
import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { type Fields, type Log, silentLog } from "../../src/observe/log.ts";
import { waitFor } from "../support/wait.ts";
import { createTopic, sharedKafka, uniqueTopic } from "./broker.ts";
import { linesOf, plainRoute, TestProducer } from "./producing.ts";
import { metadata } from "./request.ts";

setDefaultTimeout(60_000);

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function write(brokers: string, topic: string, partition: number, values: string[]): Promise<void> {
  const producer = new TestProducer(brokers);
  await producer.sink.prepare(topic);
  producer.sink.append(linesOf(values), plainRoute(topic, { partitioner: partition }));
  expect(await producer.sink.flush(10_000)).toBe(true);
  await producer.sink.close();
}

async function recreate(brokers: string, client: KafkaClient, topic: string, partitions: number): Promise<void> {
  await client.connect();
  expect((await deleteTopics(client, [topic]))[0]?.errorCode).toBe(0);
  await waitFor("the topic to be gone", async () => (await metadata(brokers, [topic])).topics[0]?.error === 3);
  await createTopic(brokers, topic, partitions);
}

async function follower(topic: string, partitions: number, end = Number.POSITIVE_INFINITY) {
  const { brokers } = await sharedKafka();
  const said: string[] = [];
  const note = (message: string, fields?: Fields) => said.push(`${message} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { ...silentLog, warn: note };
  const client = createClient({ brokers: [brokers], clientId: "test" }, silentLog);
  await client.metadata([topic]);
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100 }, log);
  fetcher.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0, end })));
  const values: string[] = [];
  const reading = (async () => {
    for (let part = await fetcher.next(); part; part = await fetcher.next()) {
      const reader = new RecordSetReader(part.records, part);
      for (let block = reader.next(); block; block = reader.next()) {
        for (let i = 0; i < block.count; i++) values.push(`${part.partition} ${block.value(i)}`);
      }
    }
  })();
  reading.catch(() => {});
  closing.push(
    () => fetcher.close(),
    () => client.close(),
  );
  return { brokers, client, fetcher, said, values, reading };
}

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i}`);

for (const [what, count] of [
  ["fewer", 3],
  ["more", 30],
] as const) {
  test(`with ${what} records than were read of the old one`, async () => {
    const { brokers } = await sharedKafka();
    const topic = await createTopic(brokers, uniqueTopic("again"), 1);
    await write(brokers, topic, 0, numbered("old", 10));
    const { client, values, said } = await follower(topic, 1);
    await waitFor("the old records", () => values.length === 10);
    await recreate(brokers, client, topic, 1);
    await write(brokers, topic, 0, numbered("new", count));
    await waitFor("all of the new records", () => values.length >= 10 + count);
    expect(values.slice(10)).toEqual(numbered("0 new", count));
    expect(said.filter((text) => text.includes("created again"))).toHaveLength(1);
  });
}

test("a reader that knew the old one and comes late", async () => {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("again"), 1);
  await write(brokers, topic, 0, numbered("old", 10));
  const first = await follower(topic, 1);
  await waitFor("the old records", () => first.values.length === 10);
  // Its position exists in the new topic, too.
  const client = createClient({ brokers: [brokers], clientId: "test" }, silentLog);
  closing.push(() => client.close());
  await client.metadata([topic]);
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100 }, silentLog);
  closing.push(() => fetcher.close());
  await recreate(brokers, first.client, topic, 1);
  await write(brokers, topic, 0, numbered("new", 20));
  fetcher.assign([{ topic, partition: 0, offset: 10, end: Number.POSITIVE_INFINITY }]);
  expect((await fetcher.next())?.from).toBe(0);
});

test("with fewer partitions, and then more", async () => {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("again"), 2);
  for (const partition of [0, 1]) await write(brokers, topic, partition, numbered("old", 2));
  const { client, fetcher, values, said } = await follower(topic, 2);
  await waitFor("the old records", () => values.length === 4);
  await recreate(brokers, client, topic, 1);
  await write(brokers, topic, 0, numbered("new", 2));
  await waitFor("the new records", () => values.length >= 6);
  expect(values.slice(4)).toEqual(["0 new 0", "0 new 1"]);
  await waitFor("the partition to be let go", () => !fetcher.has(topic, 1));
  expect(fetcher.has(topic, 0)).toBe(true);
  expect(said.some((text) => text.includes("without the partition"))).toBe(true);
});

test("who reads up to an end is told", async () => {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("again"), 1);
  await write(brokers, topic, 0, numbered("old", 10));
  const { client, values, reading } = await follower(topic, 1, 15);
  await waitFor("the old records", () => values.length === 10);
  await recreate(brokers, client, topic, 1);
  await write(brokers, topic, 0, numbered("new", 20));
  await expect(reading).rejects.toThrow("was deleted and created again");
  expect(values).toHaveLength(10);
});
