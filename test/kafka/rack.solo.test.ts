/** KIP-392: a reader with a rack reads from the replica beside it, and from the leader when that one is away. */
import { expect, test } from "bun:test";
import type { ApiRequest } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { silentLog } from "../../src/observe/log.ts";
import { logagent } from "../support/process.ts";
import { startKafka, uniqueTopic } from "./broker.ts";
import { metadata } from "./request.ts";

const fetchKey = 1;
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

test("a rack's reader fetches from the replica there, and from the leader while it is away", async () => {
  const kafka = await startKafka({
    nodes: 3,
    jvm: ["-Xmx384m"],
    config: { "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector" },
    ofNode: (node) => ({ "broker.rack": `rack-${node}` }),
  });
  try {
    const topic = await kafka.createTopic(uniqueTopic("rack"), 1);
    const produce = async (values: string[]) => {
      const stdin = `${values.join("\n")}\n`;
      expect((await logagent(["produce", topic, "-b", kafka.brokers], { stdin })).code).toBe(0);
    };
    await produce(lines(0, 1000));
    const { topics } = await metadata(kafka.nodes[0]!.address, [topic]);
    const { leader } = topics[0]!.partitions[0]!;
    const near = (leader % 3) + 1;

    const shown = await logagent([
      ...["consume", topic, "-b", kafka.brokers, "--offsets", "start", "--exit-at-end", "--rack", `rack-${near}`],
      ...["--format", "%v\\n"],
    ]);
    expect(shown.stdout.trimEnd().split("\n")).toEqual(lines(0, 1000));

    const client = createClient(
      { brokers: kafka.brokers.split(","), clientId: "test", requestTimeout: 3000 },
      silentLog,
    );
    const asked: number[] = [];
    const send = client.send.bind(client);
    client.send = <T>(node: number, request: ApiRequest<T>) => {
      if (request.key === fetchKey) asked.push(node);
      return send(node, request);
    };
    const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 100, rack: `rack-${near}` }, silentLog);
    try {
      await client.metadata([topic]);
      fetcher.assign([{ topic, partition: 0, offset: 0, end: Number.POSITIVE_INFINITY }]);
      const got: string[] = [];
      const read = async (count: number) => {
        while (got.length < count) {
          const part = await fetcher.next();
          if (!part) throw new Error("the reader ended");
          const reader = new RecordSetReader(part.records, part);
          for (let block = reader.next(); block; block = reader.next()) {
            for (let i = 0; i < block.count; i++) got.push(String(block.value(i)));
          }
          part.release();
        }
      };
      await read(1000);
      // The leader names the replica in its first answer and is not asked again.
      expect(asked[0]).toBe(leader);
      expect(new Set(asked.slice(1))).toEqual(new Set([near]));
      await kafka.nodes[near - 1]!.kill();
      const before = asked.length;
      await produce(lines(1000, 1100));
      await read(1100);
      expect(asked.slice(before)).toContain(leader);
      expect(got).toEqual(lines(0, 1100));
    } finally {
      fetcher.close();
      await client.close();
    }
  } finally {
    await kafka.stop();
  }
}, 120_000);
