/**
 * Every answer that this program reads, from a real broker, broken in thousands of ways: reading it ends with an answer or a
 * word that it is malformed, at once and in bounded memory.
 */
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
// biome-ignore lint/suspicious/noTsIgnore: Deno infers the types of these modules, tsc has none.
// @ts-ignore kafkajs has no types for its internals.
import scram from "kafkajs/src/broker/saslAuthenticator/scram.js";
import { alterTopicConfigs, describeTopicConfigs } from "../../src/kafka/admin/configs.ts";
import { committedOffsets, deleteGroup, describeGroup, listGroups } from "../../src/kafka/admin/groups.ts";
import { replicaSizes } from "../../src/kafka/admin/log-dirs.ts";
import { createPartitions, createTopics, deleteTopics } from "../../src/kafka/admin/topics.ts";
import type { ApiRequest, KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { listOffsets } from "../../src/kafka/cluster/list-offsets.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { createProducer } from "../../src/kafka/producer/idempotent-producer.ts";
import { apiVersions } from "../../src/kafka/protocol/api-versions.ts";
import { codes, KafkaError } from "../../src/kafka/protocol/errors.ts";
import {
  heartbeat,
  joinGroup,
  leaveGroup,
  noMember,
  offsetCommit,
  syncGroup,
} from "../../src/kafka/protocol/groups.ts";
import { limits } from "../../src/kafka/protocol/limits.ts";
import { MalformedError, Reader, Writer } from "../../src/kafka/protocol/wire.ts";
import { createTransactionCoordinator } from "../../src/kafka/transactions/coordinator.ts";
import { silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { waitFor } from "../support/wait.ts";
import { createTopic, sharedKafka, uniqueTopic } from "./broker.ts";
import { broken, seeded } from "./mutate.ts";
import { linesOf, plainRoute, producerDefaults } from "./producing.ts";

setDefaultTimeout(60_000);

interface Recorded {
  request: ApiRequest<unknown>;
  /** Behind the response header. */
  answer: Buffer;
}

/** By API and version: one answer each. */
const recorded = new Map<string, Recorded>();

function record<T>(request: ApiRequest<T>): ApiRequest<T> {
  return {
    ...request,
    older: (latest) => {
      const older = request.older?.(latest);
      return older ? record(older) : null;
    },
    parse(reader) {
      const name = `${request.name} ${request.version}`;
      const answer = Buffer.from(reader.buffer.subarray(reader.position));
      const known = recorded.get(name);
      if (!known || known.answer.length < answer.length) recorded.set(name, { request, answer });
      return request.parse(reader);
    },
  };
}

/** Remembers what it is asked and answered; asks in every older form that there is, too. */
function recording(brokers: string): KafkaClient {
  const client = createClient({ brokers: brokers.split(","), clientId: "hostile" }, silentLog);
  const send = client.send.bind(client);
  client.send = async (node, request) => {
    for (let version = request.version - 1; version >= 0; version--) {
      const older = request.name === "Produce" ? null : request.older?.(version);
      // What the broker is too new for is left out.
      if (older?.version === version) await send(node, record(older)).catch(() => {});
    }
    return send(node, record(request));
  };
  return client;
}

beforeAll(async () => {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("hostile"), 2);
  const client = recording(brokers);
  await client.metadata([topic]);
  await client.send("any", apiVersions);
  const sink = createProducer(client, producerDefaults, systemClock, Math.random, silentLog);
  await sink.prepare(topic);
  sink.append(linesOf(["a", "b", "c"]), plainRoute(topic));
  expect(await sink.flush(30_000)).toBe(true);
  await client.metadata([topic]);
  const partitions = [0, 1].map((partition) => ({ topic, partition }));
  await listOffsets(client, partitions, "end", "read-committed", 10_000);
  const fetcher = new Fetcher(client, { ...fetchDefaults, maxWait: 10 }, silentLog);
  fetcher.assign(partitions.map((partition) => ({ ...partition, offset: 0, end: Number.POSITIVE_INFINITY })));
  await fetcher.next();
  fetcher.close();
  await describeTopicConfigs(client, topic);
  await alterTopicConfigs(client, [topic], [{ name: "retention.ms", operation: "set", value: "86400000" }], true);
  await createTopics(client, [{ topic: `${topic}.new`, partitions: 1, replication: 1 }], { validateOnly: true });
  await createPartitions(client, [{ topic, count: 3 }], { validateOnly: true });
  await deleteTopics(client, [`${topic}.none`]);
  await replicaSizes(client, [1], [{ name: topic, partitions: [0, 1] }]);
  const group = uniqueTopic("hostile-group");
  const alone = noMember(group);
  const node = await client.coordinatorOf("group", group);
  await client.send(node, offsetCommit(alone, [{ topic, partition: 0, offset: 1 }]));
  await listGroups(client);
  await describeGroup(client, group);
  await committedOffsets(client, group);
  const join = { topics: [topic], protocols: ["range"], sessionTimeout: 10_000, rebalanceTimeout: 10_000 };
  const first = await client.send(node, joinGroup(alone, join));
  const named = { ...alone, memberId: first.memberId };
  const joined = await client.send(node, joinGroup(named, join));
  const member = { ...named, generation: joined.generation };
  await client.send(node, syncGroup(member, new Map([[member.memberId, partitions]])));
  await client.send(node, heartbeat(member));
  await describeGroup(client, group);
  await client.send(node, leaveGroup(member));
  // An older form of the request has done it already.
  await deleteGroup(client, group).catch(() => {});
  const options = { transactionalId: group, group: `${group}.offsets`, timeoutMs: 15_000 };
  const coordinator = createTransactionCoordinator(options, {
    client,
    clock: systemClock,
    random: Math.random,
    log: silentLog,
  });
  const identity = await coordinator.init();
  await coordinator.addPartitions(identity, partitions);
  await coordinator.addGroup(identity);
  await coordinator.commitOffsets(identity, [{ topic, partition: 0, offset: 1n, metadata: "x" }]);
  await coordinator.end(identity, true);
  await coordinator.stableOffsets(1000);
  await client.close();
});

const seed = 12;

test("thousands of broken answers, for each API that is asked: read or refused, never anything else", () => {
  const random = seeded(seed);
  const apis = new Set([...recorded.values()].map(({ request }) => request.name));
  expect(apis.size).toBeGreaterThanOrEqual(25);
  const before = process.memoryUsage().rss;
  let cases = 0;
  let refused = 0;
  const others: string[] = [];
  for (const [name, { request, answer }] of recorded) {
    expect(() => request.parse(new Reader(answer)), name).not.toThrow();
    for (const bytes of broken(answer, random, 40, 100)) {
      cases++;
      try {
        if (request.parse(new Reader(bytes)) === undefined) others.push(`${name}: nothing at all`);
      } catch (error) {
        refused++;
        if (!(error instanceof MalformedError || error instanceof KafkaError)) others.push(`${name}: ${error}`);
      }
    }
  }
  expect(others).toEqual([]);
  expect(cases).toBeGreaterThan(5000);
  expect(refused).toBeGreaterThan(1000);
  expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
});

test("what would take memory, time or a wrong turn is refused by one table of limits", () => {
  const at = (write: (writer: Writer) => Writer) => new Reader(write(new Writer()).finish());
  expect(() => at((w) => w.int32(2 ** 31 - 1)).partition()).toThrow("2147483647 is not between 0 and");
  expect(at((w) => w.int32(limits.partitions - 1)).partition()).toBe(limits.partitions - 1);
  expect(at((w) => w.int32(2 ** 31 - 1)).throttleMs()).toBe(limits.throttleMs);
  expect(at((w) => w.int32(-5)).throttleMs()).toBe(0);
  expect(() => at((w) => w.int64(2n ** 62n)).number64()).toThrow("is none");
  expect(() => at((w) => w.int32(-2)).array(() => 0)).toThrow("-2 elements");
  expect(at((w) => w.int32(-1)).array(() => 0)).toEqual([]);
});

test("SCRAM with more iterations than the limit is refused before the first of them", async () => {
  const rounds = scram.SCRAM.hi("password", Buffer.from("salt"), 2 ** 31 - 1, scram.DIGESTS.SHA256);
  await expect(rounds).rejects.toThrow("at most 1000000 are done");
});

for (const [what, errorCode] of [
  ["without records", 0],
  ["that the offset is out of range", codes.OFFSET_OUT_OF_RANGE],
] as const) {
  test(`a broker that answers each fetch at once, ${what}, is asked ever more seldom`, async () => {
    let fetches = 0;
    const client = {
      leaderOf: () => 1,
      topicIdOf: () => null,
      metadata: async () => ({ topics: [] }),
      async send(_: number, { name }: ApiRequest<unknown>) {
        if (name === "ListOffsets") return [{ topic: "t", partition: 0, errorCode: 0, offset: 5 }];
        fetches++;
        const part = { topic: "t", topicId: null, partition: 0, errorCode, aborted: [], preferredReplica: -1 };
        const offsets = { highWatermark: 9, lastStableOffset: 9, logStartOffset: 0 };
        return { throttleMs: 0, errorCode: 0, partitions: [{ ...part, ...offsets, records: Buffer.alloc(0) }] };
      },
    } as unknown as KafkaClient;
    const fetcher = new Fetcher(client, fetchDefaults, silentLog);
    const began = performance.now();
    fetcher.assign([{ topic: "t", partition: 0, offset: 5, end: Number.POSITIVE_INFINITY }]);
    await waitFor("ten fetches", () => fetches >= 10);
    fetcher.close();
    // The shortest that chance allows: 5 + 10 + 20 + ... ms.
    expect(performance.now() - began).toBeGreaterThan(500);
  });
}
