import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { LineWriter, makeLine, readLine } from "../support/lines.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { pause } from "../support/wait.ts";
import { createTopic, endOffsets, kafkaTool, sharedKafka, uniqueTopic } from "./broker.ts";
import { apiKeys, type FaultProxy, startProxy } from "./proxy.ts";
import { metadata } from "./request.ts";

let brokers = "";
let proxy: FaultProxy;

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  proxy = await startProxy(Number(brokers.split(":")[1]));
}, 120_000);

afterAll(() => proxy.close());

const through = (timeout = 5_000) => metadata(`127.0.0.1:${proxy.port}`, [], timeout);

test("a created topic is there, with its partitions, and empty", async () => {
  const topic = await createTopic(brokers, uniqueTopic("harness"), 3);
  expect(await endOffsets(brokers, topic)).toEqual([0n, 0n, 0n]);
});

test("Kafka's own tools run", async () => {
  const topic = await createTopic(brokers, uniqueTopic("harness"));
  const { stdout } = await kafkaTool("org.apache.kafka.tools.TopicCommand", ["--bootstrap-server", brokers, "--list"]);
  expect(stdout.toString().split("\n")).toContain(topic);
}, 60_000);

test("the proxy passes, loses a response, cuts, resets, holds and heals", async () => {
  expect((await through()).brokers).toHaveLength(1);

  const stages: string[] = [];
  proxy.hook = ({ stage, apiKey }) => {
    stages.push(`${apiKey}:${stage}`);
    return stage === "response" && apiKey === apiKeys.Metadata ? "close" : undefined;
  };
  await expect(through()).rejects.toThrow();
  expect(stages).toEqual(["3:request", "3:sent", "3:response"]);

  proxy.heal();
  proxy.down = { kind: "cut", bytes: 6 };
  await expect(through()).rejects.toThrow();

  proxy.heal();
  proxy.refuse = true;
  await expect(through()).rejects.toThrow();

  proxy.heal();
  proxy.up = { kind: "hold" };
  const held = through(20_000);
  expect(await Promise.race([held, pause(150).then(() => "held")])).toBe("held");
  proxy.heal();
  expect((await held).brokers).toHaveLength(1);

  proxy.down = { kind: "drop" };
  await expect(through(300)).rejects.toThrow("did not answer");
  proxy.heal();
});

test("lines prove themselves; a rotating writer numbers them on", () => {
  const line = makeLine("a.log", 17, 60);
  expect(readLine(line)).toEqual({ file: "a.log", number: 17 });
  expect(readLine(line.replace("17", "18"))).toBeNull();
  expect(readLine(line.slice(0, -1))).toBeNull();
  const dir = tempDir("lines");
  const path = join(dir, "a.log");
  const writer = new LineWriter(path, "a.log");
  writer.write(2);
  writer.rotate(() => renameSync(path, `${path}.1`));
  writer.write();
  writer.close();
  expect(readFileSync(path, "utf8").trimEnd().split("\n").map(readLine)).toEqual([{ file: "a.log", number: 3 }]);
  removeDir(dir);
});
