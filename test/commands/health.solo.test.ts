/** The health filters of `topics`, with a node of three down. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type KafkaCluster, startKafka } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
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
  for (let partition = 0; partition < 6; partition++) {
    const args = ["produce", "one", "--partition", String(partition), "--value", "x"];
    expect((await cli(args, { env: { LOGAGENT_BROKERS: kafka.brokers } })).code).toBe(0);
  }
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

  // One partition without a leader does not hide the others.
  const lost = await topics("offsets", "one", "-o", "json");
  expect([lost.code, lost.stderr]).toEqual([69, expect.stringMatching(/^logagent: one\/\d has no leader/)]);
  const listed = JSON.parse(lost.stdout) as { partition: number; endOffset: number | null }[];
  const offline = described.partitions.map(({ partition }: { partition: number }) => partition);
  expect(listed.filter(({ endOffset }) => endOffset === null).map(({ partition }) => partition)).toEqual(offline);
  expect(listed.filter(({ endOffset }) => endOffset === 1)).toHaveLength(6 - offline.length);
  expect((await topics("offsets", "one")).stdout).toMatch(/^one +\d +- +- +-$/m);
  const env = { LOGAGENT_BROKERS: kafka.brokers };
  const read = await cli(["consume", "one", "-O", "start", "-e", "--timeout", "3s"], { env });
  expect([read.code, read.stdout.split("\n").length - 1]).toEqual([69, 6 - offline.length]);
  expect(read.stderr).toMatch(/reading one\/.* has no leader after 3000 ms.*the others were read to their end/);
  const follow = startLogagent(["consume", "one", "-O", "start"], { env });
  await waitFor("what can be read", () => follow.stdout.split("\n").length - 1 === 6 - offline.length);
  await kafka.nodes[2]!.start();
  await waitFor("the rest", () => follow.stdout.split("\n").length - 1 === 6, { timeout: 60_000 });
  expect((await follow.stop("SIGTERM")).code).toBe(0);
}, 120_000);
