/**
 * Quotas of a real broker (KIP-219): after an answer that says so, nothing more is sent on the connection for as long as it
 * says, no request times out meanwhile, and everything arrives once.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { silentLog } from "../../src/observe/log.ts";
import { uniqueTopic } from "./broker.ts";
import { clean, judge, plainRoute, readTopic, TestProducer } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";
import { apiKeys } from "./proxy.ts";
import { request } from "./request.ts";

setDefaultTimeout(60_000);

// Rates over one second, not ten: a quota is felt at once.
const at = proxiedKafka({ "quota.window.num": 2 });

/** AlterClientQuotas v0 (KIP-546) for the client id that tests use; bytes per second. */
async function setQuota(key: "producer_byte_rate" | "consumer_byte_rate", rate: number | null): Promise<void> {
  const code = await request(at.kafka.direct, {
    key: 49,
    version: 0,
    body(writer) {
      writer.array([key], () => {
        writer.array([0], () => writer.string("client-id").string("test"));
        writer.array([0], () =>
          writer
            .string(key)
            .float64(rate ?? 0)
            .boolean(rate === null),
        );
      });
      writer.boolean(false);
    },
    parse(reader) {
      reader.int32();
      return reader.array(() => reader.int16())[0];
    },
  });
  expect(code).toBe(0);
}

interface Silence {
  /** What the answer asked for, and how long it was until the next request on that connection; milliseconds. */
  asked: number;
  kept: number;
}

/** Watches one API on every connection from now on. `throttleOf`: from an answer behind its correlation id. */
function watch(key: number, throttleOf: (answer: Buffer) => number): { silences: Silence[]; connections: Set<number> } {
  const silences: Silence[] = [];
  const connections = new Set<number>();
  const quiet = new Map<number, { since: number; asked: number }>();
  at.proxy.hook = ({ stage, apiKey, bytes, connection }) => {
    if (apiKey !== key) return undefined;
    connections.add(connection);
    if (stage === "request") {
      const { since = 0, asked = 0 } = quiet.get(connection) ?? {};
      quiet.delete(connection);
      if (asked > 0) silences.push({ asked, kept: performance.now() - since });
    }
    if (stage === "delivered") {
      const asked = throttleOf(bytes.subarray(4));
      if (asked > 0) quiet.set(connection, { since: performance.now(), asked });
    }
    return undefined;
  };
  return { silences, connections };
}

function expectKept(silences: readonly Silence[]): void {
  expect(silences.length).toBeGreaterThanOrEqual(2);
  // Timers round by a millisecond or two.
  for (const { asked, kept } of silences) expect(kept).toBeGreaterThanOrEqual(asked - 5);
}

for (const acks of [1, -1] as const) {
  test(`a producer over its quota, acks ${acks}`, async () => {
    const topic = await at.kafka.createTopic(uniqueTopic("throttled"), 1);
    // Of Produce v8 the last field.
    const seen = watch(apiKeys.Produce, (answer) => answer.readInt32BE(answer.length - 4));
    await setQuota("producer_byte_rate", 20_000);
    try {
      const producer = new TestProducer(at.kafka.brokers, { acks, batchBytes: 16_384, requestTimeout: 1_000 });
      await producer.sink.prepare(topic);
      for (let i = 0; i < 40; i++) await producer.feed(plainRoute(topic), 50);
      expect(await producer.sink.flush(50_000)).toBe(true);
      await producer.sink.close();
      // With several requests in flight the next ones are sent before the first answer comes.
      if (acks === 1) expectKept(seen.silences);
      // They are answered later than their time-out, and not given up.
      expect(seen.silences.some(({ asked }) => asked > 500)).toBe(true);
      expect(seen.connections.size).toBe(1);
      expect(producer.eventsNamed("broker-unavailable")).toEqual([]);
      expect(judge(await readTopic(at.kafka.direct, topic), producer.total)).toEqual(clean);
    } finally {
      await setQuota("producer_byte_rate", null);
    }
  });
}

test("a reader over its quota", async () => {
  const topic = await at.kafka.createTopic(uniqueTopic("throttled"), 1);
  const producer = new TestProducer(at.kafka.brokers);
  await producer.sink.prepare(topic);
  await producer.feed(plainRoute(topic), 3_000);
  expect(await producer.sink.flush(10_000)).toBe(true);
  await producer.sink.close();
  // Of Fetch v13 the first, behind the tags of the header.
  const seen = watch(apiKeys.Fetch, (answer) => answer.readInt32BE(1));
  await setQuota("consumer_byte_rate", 50_000);
  const brokers = at.kafka.brokers.split(",");
  const client = createClient({ brokers, clientId: "test", requestTimeout: 2_000 }, silentLog);
  try {
    await client.metadata([topic]);
    const options = {
      ...fetchDefaults,
      maxWait: 100,
      requestTimeout: 1_000,
      partitionBytes: 50_000,
      maxBytes: 100_000,
    };
    const fetcher = new Fetcher(client, options, silentLog);
    fetcher.assign([{ topic, partition: 0, offset: 0, end: 3_000 }]);
    let records = 0;
    for (let part = await fetcher.next(); part; part = await fetcher.next()) {
      const reader = new RecordSetReader(part.records, part);
      for (let block = reader.next(); block; block = reader.next()) records += block.count;
    }
    expect(records).toBe(3_000);
    expectKept(seen.silences);
    expect(seen.connections.size).toBe(1);
  } finally {
    await client.close();
    await setQuota("consumer_byte_rate", null);
  }
});
