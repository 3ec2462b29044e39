/** Three nodes killed in turn under a producer: what followers see live is what the logs hold in the end. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { silentLog } from "../../src/observe/log.ts";
import { main } from "../commands/cli.ts";
import { start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { type KafkaCluster, startKafka, uniqueTopic } from "./broker.ts";
import { plainRoute, readTopic, TestProducer } from "./producing.ts";

const partitions = 3;
let cluster: KafkaCluster;

beforeAll(async () => {
  cluster = await startKafka({ nodes: 3 });
}, 180_000);

afterAll(() => cluster?.stop());

test("leaders and coordinators that are killed in turn: every record once and in order, in a group none skipped", async () => {
  const topic = await cluster.createTopic(uniqueTopic("leaders"), partitions, { "min.insync.replicas": "2" });
  const client = createClient(
    { brokers: cluster.brokers.split(","), clientId: "test", requestTimeout: 3000 },
    silentLog,
  );
  await client.metadata([topic]);
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100, requestTimeout: 3000 }, silentLog);
  const end = Number.POSITIVE_INFINITY;
  fetcher.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0, end })));
  const live: string[][] = Array.from({ length: partitions }, () => []);
  const reading = (async () => {
    for (let part = await fetcher.next(); part; part = await fetcher.next()) {
      const reader = new RecordSetReader(part.records, part);
      for (let block = reader.next(); block; block = reader.next()) {
        for (let i = 0; i < block.count; i++) live[part.partition]?.push(String(block.value(i)));
      }
    }
  })();
  const args = ["-b", cluster.brokers, topic, "-g", uniqueTopic("group"), "-O", "start", "--session-timeout", "6s"];
  const member = start([...main, "consume", ...args, "--request-timeout", "3s", "--log-level", "debug"]);
  await member.says(/joined the group/, 60_000);

  const producer = new TestProducer(cluster.brokers);
  await producer.sink.prepare(topic);
  const route = plainRoute(topic, { partitioner: "round-robin" });
  for (const node of cluster.nodes) {
    await producer.feed(route, 300);
    await node.kill();
    await producer.feed(route, 300);
    // The others must have taken over before the next one goes.
    expect(await producer.sink.flush(60_000)).toBe(true);
    await node.start();
    await producer.feed(route, 300);
    expect(await producer.sink.flush(60_000)).toBe(true);
  }
  await producer.sink.close();
  const stored = await readTopic(cluster.direct, topic);
  expect(stored.length).toBe(producer.total);
  await waitFor("all records", () => live.flat().length >= producer.total, { timeout: 60_000 });
  const expected = live.map((_, partition) =>
    stored.filter((record) => record.partition === partition).map(({ value }) => String(value)),
  );
  expect(live).toEqual(expected);
  const found = () => new Set(member.stdout.split("\n").slice(0, -1));
  await waitFor(
    "all records in the group",
    () => {
      if (!member.running) throw new Error(`the member ended: ${member.stderr}`);
      return found().size >= producer.total;
    },
    { timeout: 60_000 },
  );
  expect([...found()].sort()).toEqual(expected.flat().sort());
  fetcher.close();
  await reading;
  await client.close();
  expect((await member.stop()).code).toBe(0);
}, 280_000);
