/**
 * SASL sessions that end after two seconds (KIP-368): a producer and a reader live through several of them on the same
 * connections, with every mechanism. A broker closes a connection that goes on without authenticating again.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { SaslOptions } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { createProducer } from "../../src/kafka/producer/idempotent-producer.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { type Log, silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { pause, waitFor } from "../support/wait.ts";
import { type KafkaCluster, startKafka, uniqueTopic, users } from "./broker.ts";
import { linesOf, plainRoute, producerDefaults } from "./producing.ts";

const sessionMs = 2_001;
const sessions = 4;
let kafka: KafkaCluster;

beforeAll(async () => {
  kafka = await startKafka({
    scram: true,
    listeners: { SASL: { protocol: "SASL_PLAINTEXT", mechanisms: ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"] } },
    config: { "connections.max.reauth.ms": sessionMs },
  });
}, 120_000);

afterAll(() => kafka?.stop());

function token(): Promise<string> {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  return Promise.resolve(`${part({ alg: "none" })}.${part({ sub: "admin", iat: now, exp: now + 300 })}.`);
}

const credentials = { username: "admin", password: users.admin as string };
const mechanisms: SaslOptions[] = [
  { mechanism: "plain", ...credentials },
  { mechanism: "scram-sha-512", ...credentials },
  { mechanism: "oauthbearer", token },
];

async function connectionsOf(sasl: SaslOptions) {
  const said: string[] = [];
  const log: Log = { ...silentLog, debug: (text) => said.push(text) };
  const connection = { brokers: [kafka.listeners.SASL as string], clientId: "test", sasl, requestTimeout: 5_000 };
  const count = (text: string) => said.filter((line) => line === text).length;
  return { client: createClient(connection, log), said, count };
}

for (const sasl of mechanisms) {
  test.concurrent(sasl.mechanism, async () => {
    const topic = await kafka.createTopic(uniqueTopic("session"), 1);
    const writing = await connectionsOf(sasl);
    const reading = await connectionsOf(sasl);
    const sink = createProducer(writing.client, producerDefaults, systemClock, Math.random, silentLog);
    const values: string[] = [];
    const fetcher = new Fetcher(reading.client, { ...fetchDefaults, maxWait: 200 }, silentLog);
    try {
      await sink.prepare(topic);
      await reading.client.metadata([topic]);
      fetcher.assign([{ topic, partition: 0, offset: 0, end: Number.POSITIVE_INFINITY }]);
      const read = (async () => {
        for (let part = await fetcher.next(); part; part = await fetcher.next()) {
          const reader = new RecordSetReader(part.records, part);
          for (let block = reader.next(); block; block = reader.next()) {
            for (let i = 0; i < block.count; i++) values.push(String(block.value(i)));
          }
        }
      })();
      let written = 0;
      const end = performance.now() + sessions * sessionMs;
      while (performance.now() < end) {
        sink.append(linesOf([`${written++}`], written * 10), plainRoute(topic));
        await pause(10);
      }
      expect(await sink.flush(10_000)).toBe(true);
      await waitFor("all records", () => values.length >= written);
      expect(values).toEqual(Array.from({ length: written }, (_, i) => `${i}`));
      for (const { count } of [writing, reading]) {
        expect(count("connection ended")).toBe(0);
        expect(count("authenticated again")).toBeGreaterThanOrEqual(sessions - 1);
        // Not before each request either.
        expect(count("authenticated again")).toBeLessThanOrEqual(6 * sessions);
      }
      fetcher.close();
      await read;
    } finally {
      fetcher.close();
      await sink.close();
      await reading.client.close();
    }
  }, 60_000);
}
