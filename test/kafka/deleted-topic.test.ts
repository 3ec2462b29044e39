/** A topic that is deleted while it is read beside another one: said once, and the other one goes on undisturbed. */
import { expect, test } from "bun:test";
import { deleteTopics } from "../../src/kafka/admin/topics.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";
import { waitFor } from "../support/wait.ts";
import { createTopic, sharedKafka, uniqueTopic } from "./broker.ts";
import { linesOf, plainRoute, TestProducer } from "./producing.ts";

test("a deleted topic: one line for all of its partitions, one more when it is there again", async () => {
  const { brokers } = await sharedKafka();
  const [a, b] = [
    await createTopic(brokers, uniqueTopic("stays"), 1),
    await createTopic(brokers, uniqueTopic("goes"), 3),
  ];
  const said: string[] = [];
  const note = (message: string) => said.push(message);
  const log: Log = { ...silentLog, warn: note, info: note };
  const client = createClient({ brokers: [brokers], clientId: "test" }, silentLog);
  await client.metadata([a, b]);
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100 }, log);
  const end = Number.POSITIVE_INFINITY;
  fetcher.assign([
    { topic: a, partition: 0, offset: 0, end },
    ...[0, 1, 2].map((partition) => ({ topic: b, partition, offset: 0, end })),
  ]);
  const values: string[] = [];
  const reading = (async () => {
    for (let part = await fetcher.next(); part; part = await fetcher.next()) {
      const reader = new RecordSetReader(part.records, part);
      for (let block = reader.next(); block; block = reader.next()) {
        for (let i = 0; i < block.count; i++) values.push(`${part.topic} ${block.value(i)}`);
      }
    }
  })();
  const write = async (topic: string, value: string) => {
    const producer = new TestProducer(brokers);
    await producer.sink.prepare(topic);
    producer.sink.append(linesOf([value]), plainRoute(topic, { partitioner: 0 }));
    expect(await producer.sink.flush(10_000)).toBe(true);
    await producer.sink.close();
    await waitFor(`${value} of ${topic}`, () => values.includes(`${topic} ${value}`));
  };
  const gone = `topic "${b}" does not exist any more; it is read again when it is there again`;
  try {
    await write(b, "first");
    expect((await deleteTopics(client, [b]))[0]?.errorCode).toBe(0);
    await waitFor("a word", () => said.length > 0, { timeout: 30_000 });
    for (const value of ["1", "2", "3", "4"]) await write(a, value);
    expect(said).toEqual([gone]);
    await createTopic(brokers, b, 3);
    await write(b, "second");
    await write(a, "5");
    expect(said.filter((line) => /answer again|trying again/.test(line))).toEqual([]);
    expect(said.filter((line) => line === gone)).toHaveLength(1);
  } finally {
    fetcher.close();
    await reading;
    await client.close();
  }
}, 60_000);
