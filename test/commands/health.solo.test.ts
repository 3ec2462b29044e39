/** The health filters of `topics`, with a node of three down. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type KafkaCluster, startKafka } from "../kafka/broker.ts";
import { waitFor } from "../support/wait.ts";
import { cli } from "./cli.ts";

let kafka: KafkaCluster;
beforeAll(async () => {
  kafka = await startKafka({ nodes: 3 });
}, 120_000);
afterAll(() => kafka?.stop());

const topics = (...words: string[]) => cli(["topics", ...words], { env: { LOGAGENT_BROKERS: kafka.brokers } });
const names = async (...words: string[]) =>
  (await topics("list", "-o", "name", ...words)).stdout.split("\n").filter(Boolean);

test("under-replicated and offline partitions are found", async () => {
  expect((await topics("create", "three", "-p", "1", "-r", "3")).code).toBe(0);
  expect((await topics("create", "one", "-p", "6", "-r", "1")).code).toBe(0);
  expect(await names("--under-replicated", "--offline")).toEqual([]);
  await kafka.nodes[2]!.kill();
  await waitFor("the node's absence", async () => (await names("--under-replicated")).includes("three") || null, {
    every: 300,
  });
  await waitFor("the offline partitions", async () => (await names("--offline")).includes("one") || null, {
    every: 300,
  });
  expect(await names("--offline")).not.toContain("three");
  const described = JSON.parse((await topics("describe", "one", "--offline", "-o", "json")).stdout)[0];
  expect(described.partitions.length).toBeGreaterThan(0);
  expect(described.partitions.length).toBeLessThan(6);
  for (const partition of described.partitions)
    expect(partition).toMatchObject({ leader: null, endOffset: null, messages: null });
  expect(described.messages).toBeNull();
  const whole = JSON.parse((await topics("describe", "three", "-o", "json")).stdout)[0];
  expect(whole.partitions[0].replicas).toHaveLength(3);
  expect(whole.partitions[0].isr).toHaveLength(2);
}, 120_000);
