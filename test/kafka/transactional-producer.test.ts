/** Cuts sent in transactions against a real broker: committed, aborted and sent again, fenced, split. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { createTransactionalProducer } from "../../src/kafka/producer/idempotent-producer.ts";
import type { Batch, Cut, Outcome } from "../../src/kafka/producer/sink.ts";
import { KafkaError } from "../../src/kafka/protocol/errors.ts";
import { createTransactionCoordinator } from "../../src/kafka/transactions/coordinator.ts";
import { silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { makeLine } from "../support/lines.ts";
import { uniqueTopic } from "./broker.ts";
import { clean, judge, linesOf, plainRoute, producerDefaults, readTopic } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";
import { apiKeys } from "./proxy.ts";

setDefaultTimeout(60_000);

const node = proxiedKafka();

async function start(transactionalId: string, topic: string) {
  const client = createClient(
    { brokers: node.kafka.brokers.split(","), clientId: "test", requestTimeout: 2_000 },
    silentLog,
  );
  const options = { ...producerDefaults, transactionalId, onEvent: () => {} };
  const sink = createTransactionalProducer(client, options, systemClock, Math.random, silentLog);
  const settled: [Batch, Outcome][] = [];
  sink.onSettled((batch, outcome) => settled.push([batch, outcome]));
  const environment = { client, clock: systemClock, random: Math.random, log: silentLog };
  const coordinator = createTransactionCoordinator(
    { transactionalId, group: transactionalId, timeoutMs: 15_000 },
    environment,
  );
  const initialise = async () => {
    const producer = await coordinator.init();
    sink.setProducer(producer);
    return producer;
  };
  let producer = await initialise();
  await sink.prepare(topic);
  let written = 0;
  return {
    sink,
    settled,
    append(count: number) {
      sink.append(
        linesOf(
          Array.from({ length: count }, (_, i) => makeLine("f", written + i + 1)),
          written * 81,
        ),
        plainRoute(topic),
      );
      written += count;
    },
    async send(cut: Cut) {
      const partitions = new Map(cut.batches.map(({ topic, partition }) => [partition, { topic, partition }]));
      await coordinator.addPartitions(producer, [...partitions.values()]);
      await sink.send(cut);
    },
    async commit(cut: Cut) {
      await coordinator.end(producer, true);
      sink.release(cut);
    },
    async renew() {
      producer = await initialise();
    },
    end: (commit: boolean) => coordinator.end(producer, commit),
  };
}

test("cuts are committed in order, also behind lost responses; nothing settles before its release", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("txn"), 3);
  const agent = await start(uniqueTopic("id"), topic);
  let produces = 0;
  node.proxy.hook = ({ apiKey, stage }) =>
    apiKey === apiKeys.Produce && stage === "response" && ++produces % 5 === 0 ? "close" : undefined;
  for (let i = 0; i < 8; i++) {
    agent.append(700);
    const cut = agent.sink.cut() as Cut;
    agent.append(50);
    expect(cut.batches.reduce((sum, { count }) => sum + count, 0)).toBe(i === 0 ? 700 : 750);
    await agent.send(cut);
    const before = agent.settled.length;
    const count = cut.batches.length;
    await agent.commit(cut);
    expect(agent.settled.length).toBe(before + count);
  }
  node.proxy.heal();
  const last = agent.sink.cut() as Cut;
  await agent.send(last);
  await agent.commit(last);
  expect(agent.sink.cut()).toBeNull();
  expect(agent.sink.buffered).toBe(0);
  expect(judge(await readTopic(node.kafka.direct, topic), 8 * 750)).toEqual(clean);
  await agent.sink.close();
});

test("an aborted cut is sent again with another epoch: readers see it once", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("txn"), 3);
  const agent = await start(uniqueTopic("id"), topic);
  agent.append(2_000);
  const cut = agent.sink.cut() as Cut;
  await agent.send(cut);
  await agent.end(false);
  await agent.renew();
  await agent.send(cut);
  await agent.commit(cut);
  agent.append(100);
  const next = agent.sink.cut() as Cut;
  await agent.send(next);
  await agent.commit(next);
  expect(judge(await readTopic(node.kafka.direct, topic), 2_100)).toEqual(clean);
  await agent.sink.close();
});

test("a fenced producer's send rejects and leaves the cut whole", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("txn"), 3);
  const id = uniqueTopic("id");
  const [first, second] = [await start(id, topic), await start(id, topic)];
  first.append(1_000);
  const cut = first.sink.cut() as Cut;
  const error = await first.sink.send(cut).then(
    () => null,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(KafkaError);
  expect(["INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "INVALID_TXN_STATE"]).toContain(error.name);
  expect(first.settled).toEqual([]);
  await second.sink.close();
  await first.renew();
  await first.send(cut);
  await first.commit(cut);
  expect(judge(await readTopic(node.kafka.direct, topic), 1_000)).toEqual(clean);
  await first.sink.close();
});

test("in a transaction, too, batches are split and a record too large is dropped alone", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("txn"), 1, { "max.message.bytes": "3000" });
  const agent = await start(uniqueTopic("id"), topic);
  agent.append(200);
  agent.sink.append(linesOf([crypto.getRandomValues(new Uint8Array(5_000))], 0, 2), plainRoute(topic));
  agent.append(200);
  const cut = agent.sink.cut() as Cut;
  await agent.send(cut);
  await agent.commit(cut);
  expect(agent.settled.filter(([, { kind }]) => kind === "dropped").map(([batch]) => batch.count)).toEqual([1]);
  expect(agent.sink.buffered).toBe(0);
  expect(judge(await readTopic(node.kafka.direct, topic), 400)).toEqual(clean);
  await agent.sink.close();
});
