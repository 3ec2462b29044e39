/**
 * A topic that grows while it is written and read: within a minute of the injected clock both producers use the new
 * partitions, and readers with and without a group read them from their beginning. Nothing is restarted.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Writable } from "node:stream";
import { consumeDirect } from "../../src/commands/consume/direct.ts";
import { consumeGroup } from "../../src/commands/consume/group.ts";
import { Printer } from "../../src/commands/consume/printer.ts";
import { createPartitions } from "../../src/kafka/admin/topics.ts";
import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { parseOffsets } from "../../src/kafka/consumer/offset-range.ts";
import { createTransactionalProducer } from "../../src/kafka/producer/idempotent-producer.ts";
import { createTransactionCoordinator } from "../../src/kafka/transactions/coordinator.ts";
import { silentLog } from "../../src/observe/log.ts";
import { OutputBuffer } from "../../src/output/buffer.ts";
import { compileFormat } from "../../src/output/format.ts";
import { type Clock, systemClock } from "../../src/runtime.ts";
import { waitFor } from "../support/wait.ts";
import { createTopic, sharedKafka, uniqueTopic } from "./broker.ts";
import { clean, judge, linesOf, plainRoute, producerDefaults, readTopic, TestProducer } from "./producing.ts";

setDefaultTimeout(60_000);

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function newTopic(partitions: number): Promise<{ brokers: string; topic: string; client: KafkaClient }> {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("grows"), partitions);
  const client = createClient({ brokers: [brokers], clientId: "test" }, silentLog);
  closing.push(() => client.close());
  return { brokers, topic, client };
}

async function grow(client: KafkaClient, topic: string, count: number): Promise<void> {
  await client.connect();
  expect(await createPartitions(client, [{ topic, count }])).toEqual([{ topic, errorCode: 0, message: null }]);
  await waitFor("the new partitions to have leaders", async () => {
    const [found] = (await client.metadata([topic])).topics;
    return found?.partitions.length === count && found.partitions.every(({ leader }) => leader >= 0);
  });
}

/** Real milliseconds for the producer to do it, so that the clock is never far beyond the minute. */
const soon = { timeout: 5_000 };

/** A clock that can be put forward; waits that are under way last as long as they did. */
function movableClock(): Clock & { ahead: number } {
  return {
    ...systemClock,
    ahead: 0,
    monotonic() {
      return performance.now() + this.ahead;
    },
  };
}

const partitionsOf = (records: readonly { partition: number }[]) =>
  [...new Set(records.map(({ partition }) => partition))].sort();

test("the producer", async () => {
  const { brokers, topic, client } = await newTopic(2);
  const clock = movableClock();
  const producer = new TestProducer(brokers, {}, clock);
  closing.push(() => producer.sink.close());
  await producer.sink.prepare(topic);
  const route = plainRoute(topic, { partitioner: "round-robin" });
  await producer.feed(route, 100);
  expect(await producer.sink.flush(10_000)).toBe(true);
  await grow(client, topic, 5);
  clock.ahead = 60_000;
  await waitFor(
    "records in all partitions",
    async () => {
      await producer.feed(route, 10);
      expect(await producer.sink.flush(10_000)).toBe(true);
      return partitionsOf(producer.settled.map(({ batch }) => batch)).length === 5;
    },
    soon,
  );
  const records = await readTopic(brokers, topic);
  expect(partitionsOf(records)).toEqual([0, 1, 2, 3, 4]);
  expect(judge(records, producer.total)).toEqual(clean);
});

test("the transactional producer", async () => {
  const { brokers, topic, client } = await newTopic(2);
  const clock = movableClock();
  const transactionalId = uniqueTopic("id");
  const sink = createTransactionalProducer(
    client,
    { ...producerDefaults, transactionalId, onEvent: () => {} },
    clock,
    Math.random,
    silentLog,
  );
  const coordinator = createTransactionCoordinator(
    { transactionalId, group: transactionalId, timeoutMs: 15_000 },
    { client, clock, random: Math.random, log: silentLog },
  );
  const identity = await coordinator.init();
  sink.setProducer(identity);
  await sink.prepare(topic);
  let number = 0;
  const commit = async () => {
    const values = Array.from({ length: 20 }, () => `${++number}`);
    sink.append(linesOf(values, number * 100), plainRoute(topic, { partitioner: "round-robin" }));
    const cut = sink.cut();
    if (!cut) throw new Error("there is nothing to send");
    const used = partitionsOf(cut.batches);
    await coordinator.addPartitions(
      identity,
      used.map((partition) => ({ topic, partition })),
    );
    await sink.send(cut);
    await coordinator.end(identity, true);
    sink.release(cut);
    return used;
  };
  expect(await commit()).toEqual([0, 1]);
  await grow(client, topic, 5);
  clock.ahead = 60_000;
  await waitFor("transactions over all partitions", async () => (await commit()).length === 5, soon);
  const records = await readTopic(brokers, topic);
  expect(partitionsOf(records)).toEqual([0, 1, 2, 3, 4]);
  expect(records.map(({ value }) => Number(value)).sort((a, b) => a - b)).toEqual(
    Array.from({ length: number }, (_, i) => i + 1),
  );
});

for (const kind of ["without a group", "in a group", "in a group, a static member that came back"] as const) {
  test(`a reader ${kind}`, async () => {
    const group = kind !== "without a group";
    const comesBack = kind.endsWith("came back");
    const { brokers, topic, client } = await newTopic(1);
    const printed: string[] = [];
    const stream = new Writable({
      write(chunk, _, done) {
        printed.push(...String(chunk).split("\n").slice(0, -1));
        done();
      },
    });
    const write = compileFormat("%p %v\\n");
    const printer = new Printer(new OutputBuffer(stream), { write, filter: null, limit: Number.POSITIVE_INFINITY });
    let stop = new AbortController();
    const common = {
      selection: { names: [topic], patterns: [] },
      range: parseOffsets(group ? "start" : "end", Date.now()),
      exitAtEnd: false,
      fetch: { ...fetchDefaults, maxWait: 100 },
      timeout: 10_000,
      // Longer than it takes to write to the new partitions: what came before the look is read too.
      discoveryInterval: 1_000,
    };
    const membership = {
      group: uniqueTopic("group"),
      instanceId: comesBack ? "reader" : null,
      sessionTimeout: 10_000,
      rebalanceTimeout: 60_000,
      timeout: 30_000,
    };
    const read = () =>
      group
        ? consumeGroup(client, { ...common, group: membership }, printer, stop.signal, silentLog)
        : consumeDirect(client, { ...common, partitions: null }, printer, stop.signal, silentLog);
    let reading = read();
    closing.unshift(async () => {
      stop.abort();
      await reading;
    });
    const producer = new TestProducer(brokers);
    closing.push(() => producer.sink.close());
    await producer.sink.prepare(topic);
    const send = async (partition: number, values: string[]) => {
      producer.sink.append(linesOf(values), plainRoute(topic, { partitioner: partition }));
      expect(await producer.sink.flush(10_000)).toBe(true);
    };
    // A reader from the end on sees what comes after its start.
    await waitFor("the reader to follow", async () => {
      await send(0, ["hello"]);
      return printed.includes("0 hello");
    });
    if (comesBack) {
      stop.abort();
      await reading;
      stop = new AbortController();
      reading = read();
      await send(0, ["back"]);
      await waitFor("the reader to be back", () => printed.includes("0 back"));
    }
    await grow(client, topic, 3);
    const late = new TestProducer(brokers);
    closing.push(() => late.sink.close());
    await late.sink.prepare(topic);
    late.sink.append(linesOf(["first", "second"]), plainRoute(topic, { partitioner: 1 }));
    late.sink.append(linesOf(["third"]), plainRoute(topic, { partitioner: 2 }));
    expect(await late.sink.flush(10_000)).toBe(true);
    await waitFor("what the new partitions hold", () => printed.filter((line) => !line.startsWith("0")).length >= 3);
    const fresh = printed.filter((line) => !line.startsWith("0"));
    expect(fresh.sort()).toEqual(["1 first", "1 second", "2 third"]);
  });
}
