/**
 * Brokers that speak less: a real one whose answer to ApiVersions is cut down to what older releases say. What Kafka 2.1
 * can do works with its versions; what it cannot do says which release is needed.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { listOffsets } from "../../src/kafka/cluster/list-offsets.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { GroupMember, type GroupOptions } from "../../src/kafka/consumer/group-member.ts";
import { createTransactionCoordinator } from "../../src/kafka/transactions/coordinator.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { waitFor } from "../support/wait.ts";
import { uniqueTopic } from "./broker.ts";
import { clean, judge, plainRoute, readTopic, TestProducer } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";

setDefaultTimeout(60_000);

const API_VERSIONS = 18;
const at = proxiedKafka();

/** The latest versions, by API key, that a release speaks of what is used here. */
type Release = Readonly<Record<number, number>>;
const kafka21: Release = { 0: 7, 1: 10, 2: 4, 3: 7, 9: 5, 10: 2, 11: 3, 22: 1, 24: 1 };
/** Kafka 1.0, where Metadata is concerned. */
const kafka10: Release = { 0: 5, 1: 6, 2: 2, 3: 5, 10: 1, 22: 0 };
const kafka28: Release = { 0: 9, 1: 12, 2: 6, 3: 11, 10: 3, 22: 4 };
const tooOld: Release = { 3: 4 };

/** Lets the broker pass for the release; returns the versions that were used, by API key. */
function pretend(release: Release): Map<number, Set<number>> {
  const used = new Map<number, Set<number>>();
  at.proxy.hook = ({ stage, apiKey, apiVersion, bytes }) => {
    if (stage === "request") used.set(apiKey, (used.get(apiKey) ?? new Set()).add(apiVersion));
    if (stage === "response" && apiKey === API_VERSIONS) lower(bytes, release);
    return undefined;
  };
  return used;
}

/** ApiVersions v2: correlation id, error code, then an array of key, oldest and latest version. */
function lower(response: Buffer, release: Release): void {
  for (let n = response.readInt32BE(6), i = 10; n > 0; n--, i += 6) {
    const latest = release[response.readInt16BE(i)];
    if (latest !== undefined) response.writeInt16BE(latest, i + 4);
  }
}

function newClient() {
  const brokers = at.kafka.brokers.split(",");
  return createClient({ brokers, clientId: "test", requestTimeout: 3_000 }, silentLog);
}

const releases: [string, Release, { produce: number; fetch: number; metadata: number }][] = [
  ["Kafka 1.0", kafka10, { produce: 5, fetch: 6, metadata: 5 }],
  ["Kafka 2.1", kafka21, { produce: 7, fetch: 10, metadata: 7 }],
  ["Kafka 2.8", kafka28, { produce: 8, fetch: 11, metadata: 11 }],
  ["the one under test", {}, { produce: 8, fetch: 13, metadata: 12 }],
];

for (const [name, release, versions] of releases) {
  test(`what is produced to ${name} can be read from it`, async () => {
    const used = pretend(release);
    const topic = await at.kafka.createTopic(uniqueTopic("old"), 3);
    const producer = new TestProducer(at.kafka.brokers, { compression: "gzip" });
    await producer.sink.prepare(topic);
    for (let i = 0; i < 20; i++) await producer.feed(plainRoute(topic, { partitioner: "round-robin" }), 50);
    expect(await producer.sink.flush(10_000)).toBe(true);
    await producer.sink.close();
    expect(producer.settled.every(({ outcome }) => outcome.kind === "acked" && outcome.offset >= 0n)).toBe(true);
    // Through the proxy too: ListOffsets and Fetch.
    expect(judge(await readTopic(at.kafka.brokers, topic), producer.total)).toEqual(clean);
    expect(used.get(0)).toEqual(new Set([versions.produce]));
    expect(used.get(1)).toEqual(new Set([versions.fetch]));
    expect(used.get(3)).toEqual(new Set([versions.metadata]));
  });
}

test("a record refused by an old broker, and a position out of range, are met as by a new one", async () => {
  pretend(kafka21);
  const topic = await at.kafka.createTopic(uniqueTopic("old"), 1, { "max.message.bytes": "2000" });
  const producer = new TestProducer(at.kafka.brokers);
  await producer.sink.prepare(topic);
  await producer.feed(plainRoute(topic), 100);
  expect(await producer.sink.flush(10_000)).toBe(true);
  await producer.sink.close();
  expect(producer.eventsNamed("batch-split").length).toBeGreaterThan(0);
  const client = newClient();
  await client.metadata([topic]);
  expect(client.topicIdOf(topic)).toBeNull();
  const [end] = await listOffsets(client, [{ topic, partition: 0 }], "end", "read-committed", 5_000);
  expect(end?.offset).toBe(100);
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (message) => said.push(message) };
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100 }, log);
  fetcher.assign([{ topic, partition: 0, offset: 500, end: Number.POSITIVE_INFINITY }]);
  const late = new TestProducer(at.kafka.brokers);
  await late.sink.prepare(topic);
  const next = fetcher.next();
  await waitFor("the position to be moved", () =>
    said.some((text) => text.includes("the log is shorter than the position")),
  );
  await late.feed(plainRoute(topic), 1);
  expect((await next)?.from).toBe(100);
  fetcher.close();
  await client.close();
  await late.sink.close();
});

test("what is too old is said, with the versions and the release that will do", async () => {
  pretend(tooOld);
  const client = newClient();
  const error = await client.connect().catch((thrown) => thrown);
  expect(error.code).toBe("BROKER_REFUSED");
  expect(error.message).toMatch(/it speaks Metadata versions 0 to 4 and is too old: Kafka 1\.0 or later is needed/);
  await client.close();
});

test("a transaction on a broker that is too old ends with the reason, not with retries", async () => {
  pretend(kafka21);
  const client = newClient();
  const environment = { client, clock: systemClock, random: Math.random, log: silentLog };
  const id = uniqueTopic("id");
  const coordinator = createTransactionCoordinator({ transactionalId: id, group: id, timeoutMs: 15_000 }, environment);
  const identity = await coordinator.init();
  const topic = await at.kafka.createTopic(uniqueTopic("old"), 1);
  // That has a form for it; what says which checkpoint is true has none.
  await coordinator.addPartitions(identity, [{ topic, partition: 0 }]);
  await expect(coordinator.stableOffsets(1_000)).rejects.toThrow(/OffsetFetch versions \d to 5.*Kafka 2\.5 or later/);
  await client.close();
});

test("a group on a broker that is too old ends with the reason", async () => {
  pretend(kafka21);
  const client = newClient();
  const options: GroupOptions = {
    group: uniqueTopic("group"),
    instanceId: null,
    sessionTimeout: 10_000,
    rebalanceTimeout: 10_000,
    timeout: 10_000,
  };
  const member = new GroupMember(client, options, silentLog);
  const nothing = () => {};
  await expect(member.join(["any"], new AbortController().signal, nothing, nothing)).rejects.toThrow(
    /JoinGroup versions \d to 3 and is too old: Kafka 2\.3 or later is needed/,
  );
  await client.close();
});
