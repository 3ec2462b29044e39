/**
 * An agent that was idle for longer than the broker remembers producers and transactional ids goes on as if nothing had
 * been: nothing lost, nothing twice. The broker forgets after seconds here, else after a day and a week.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type KafkaCluster, startKafka, uniqueTopic } from "../kafka/broker.ts";
import { request } from "../kafka/request.ts";
import { startLogagent } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { readTopic } from "./read-topic.ts";
import { expectEveryLineOnce, type Rig, waitUntilReceived, withRig } from "./rig.ts";

let kafka: KafkaCluster;

beforeAll(async () => {
  kafka = await startKafka({
    config: {
      "producer.id.expiration.ms": 2_000,
      "producer.id.expiration.check.interval.ms": 200,
      "transactional.id.expiration.ms": 2_000,
      "transaction.remove.expired.transaction.cleanup.interval.ms": 200,
    },
  });
}, 120_000);

afterAll(() => kafka?.stop());

/** DescribeProducers v0 (KIP-664) of partition 0: how many producers the broker remembers. */
function producersOf(topic: string): Promise<number> {
  return request(kafka.direct, {
    key: 61,
    version: 0,
    flexible: true,
    body(writer) {
      writer.compactArray([topic], (name) => {
        writer.compactString(name).compactArray([0], (partition) => writer.int32(partition));
        writer.noTags();
      });
      writer.noTags();
    },
    parse(reader) {
      reader.int32();
      const counts = reader.compactArray(() => {
        reader.compactString();
        return reader.compactArray(() => {
          reader.int32();
          const code = reader.int16();
          if (code !== 0) throw new Error(`DescribeProducers of ${topic}: error ${code}`);
          reader.compactNullableString();
          return reader.uvarint() - 1;
        })[0];
      });
      return counts[0] ?? -1;
    },
  });
}

/** ListTransactions v0 (KIP-664). */
function transactionalIds(): Promise<string[]> {
  return request(kafka.direct, {
    key: 66,
    version: 0,
    flexible: true,
    body: (writer) => {
      writer.compactArray([], () => {});
      writer.compactArray([], () => {});
      writer.noTags();
    },
    parse(reader) {
      reader.int32();
      reader.int16();
      reader.compactArray(() => reader.compactString());
      return reader.compactArray(() => {
        const id = reader.compactString();
        reader.int64();
        reader.compactString();
        reader.skipTags();
        return id;
      });
    },
  });
}

async function write(rig: Rig, lines: number): Promise<void> {
  for (const writer of rig.writers) writer.write(lines);
  await waitUntilReceived(rig);
}

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  test(delivery, async () => {
    const topic = await kafka.createTopic(uniqueTopic("expiry"), 1);
    await withRig({ brokers: kafka.brokers, topic, delivery }, async (rig) => {
      rig.start();
      await write(rig, 50);
      expect(await producersOf(topic)).toBe(1);
      if (delivery === "exactly-once") expect(await transactionalIds()).toHaveLength(1);
      for (let idle = 0; idle < 2; idle++) {
        await waitFor("the broker to forget the producer", async () => (await producersOf(topic)) === 0);
        await waitFor("the broker to forget the id", async () => (await transactionalIds()).length === 0);
        await write(rig, 50);
      }
      expect((await rig.end("SIGTERM"))?.code).toBe(0);
      expectEveryLineOnce(await rig.verdict());
      // The broker said so, or the test would show nothing.
      const forgotten = rig.said().match(/INVALID_PRODUCER_ID_MAPPING/g) ?? [];
      expect(forgotten.length).toBe(delivery === "exactly-once" ? 2 : 0);
      expect(rig.said()).not.toContain("repeat");
    });
  }, 120_000);
}

test("produce, exactly once, from a slow pipe", async () => {
  const topic = await kafka.createTopic(uniqueTopic("expiry"), 1);
  const words = ["produce", topic, "--brokers", kafka.brokers, "--delivery", "exactly-once", "-o", "%o"];
  const produce = startLogagent(words, { stdin: "pipe" });
  const acknowledged = () => produce.stdout.split("\n").length - 1;
  for (let line = 1; line <= 3; line++) {
    produce.child.stdin?.write(`${line}\n`);
    await waitFor("the acknowledgement", () => acknowledged() === line);
    await waitFor("the broker to forget the producer", async () => (await producersOf(topic)) === 0);
    await waitFor("the broker to forget the id", async () => (await transactionalIds()).length === 0);
  }
  produce.child.stdin?.end();
  expect((await produce.exited).code).toBe(0);
  const values: string[] = [];
  await readTopic(kafka.direct, topic, (_, value) => values.push(value));
  expect(values).toEqual(["1", "2", "3"]);
}, 120_000);
