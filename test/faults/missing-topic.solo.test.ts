/**
 * One of two output topics is deleted under load, in exactly-once: its lines wait, the other topic's go on; a kill in
 * between moves no position; and when the topic is there again, what was not committed before comes to it once, in order.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deleteTopics } from "../../src/kafka/admin/topics.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createTopic, endOffsets, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { LineWriter, readLine } from "../support/lines.ts";
import { logagent, type Running, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";
import { readTopic } from "./read-topic.ts";

let brokers = "";
const dir = tempDir("missing-topic");
const writers = ["stays", "goes"].map((name) => new LineWriter(join(dir, `${name}.log`), name));
let timer: NodeJS.Timeout | undefined;

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

afterAll(() => {
  clearInterval(timer);
  for (const writer of writers) writer.close();
  rmSync(dir, { recursive: true });
});

async function numbersIn(topic: string): Promise<number[]> {
  const numbers: number[] = [];
  await readTopic(brokers, topic, (_, value) => numbers.push(readLine(value)!.number));
  return numbers;
}

/** Waits until so many more records are committed. */
async function arrive(topic: string, records: number): Promise<void> {
  const end = async () => Number((await endOffsets(brokers, topic))[0]);
  const before = await end();
  await waitFor(`lines in ${topic}`, async () => (await end()) >= before + records, { timeout: 30_000 });
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("a deleted topic holds up its own lines only", async () => {
  const [stays, goes] = [
    await createTopic(brokers, uniqueTopic("stays"), 1),
    await createTopic(brokers, uniqueTopic("goes"), 1),
  ];
  const config = join(dir, "logagent.yaml");
  const inputs = [
    `  stays: { paths: ${dir}/stays.log, topic: ${stays} }`,
    `  goes: { paths: ${dir}/goes.log, topic: ${goes} }`,
  ];
  const head = [`state: ${dir}/state/state.jsonl`, "delivery: exactly-once", "defaults: { from: beginning }"];
  writeFileSync(config, `${[`connection: { brokers: ["${brokers}"] }`, ...head, "inputs:", ...inputs].join("\n")}\n`);
  let agent: Running | undefined;
  const client = createClient({ brokers: brokers.split(","), clientId: "test" }, silentLog);
  try {
    const writing = new Set(writers);
    timer = setInterval(() => {
      for (const writer of writing) writer.write(5);
    }, 10);
    agent = startLogagent(["tail", "--config", config]);
    await arrive(goes, 500);
    // So that it is known what the topic takes with it: nothing of its lines is on the way when it is deleted.
    writing.delete(writers[1]!);
    const gone = writers[1]!.written;
    await waitFor("its lines", async () => (await numbersIn(goes)).at(-1) === gone, { timeout: 30_000 });
    await deleteTopics(client, [goes]);
    writing.add(writers[1]!);
    await waitFor("the warning", () => agent!.stderr.includes("the topic is missing"), { timeout: 30_000 });
    for (let round = 0; round < 3; round++) await arrive(stays, 1000);
    await agent.stop("SIGKILL");
    agent = startLogagent(["tail", "--config", config]);
    await arrive(stays, 1000);
    await createTopic(brokers, goes, 1);
    await arrive(goes, 1000);
    clearInterval(timer);
    await pause(100);
    expect((await agent.stop("SIGTERM")).code).toBe(0);
    expect((await logagent(["tail", "--config", config, "--once"])).code).toBe(0);
    expect(await numbersIn(stays)).toEqual(upTo(1, writers[0]!.written));
    expect(await numbersIn(goes)).toEqual(upTo(gone + 1, writers[1]!.written));
  } catch (error) {
    console.log(`the agent said:\n${agent?.stderr}`);
    throw error;
  } finally {
    await agent?.stop("SIGKILL");
    await client.close();
  }
}, 180_000);
