/** A broker that hangs up on requests above its `socket.request.max.bytes`: what no request can carry is left out, the rest arrives. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { logagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { type KafkaCluster, startKafka, uniqueTopic } from "./broker.ts";
import { readTopic } from "./producing.ts";

setDefaultTimeout(60_000);

let kafka: KafkaCluster;

beforeAll(async () => {
  kafka = await startKafka({ config: { "socket.request.max.bytes": 1_000_000, "message.max.bytes": 10_000_000 } });
}, 120_000);

afterAll(() => kafka?.stop());

for (const delivery of ["at-least-once", "exactly-once"]) {
  test(`${delivery}: a line above it between others, and batches above it of lines below`, async () => {
    const topic = uniqueTopic("limit");
    await kafka.createTopic(topic, 1);
    const dir = tempDir("limit");
    const log = join(dir, "a.log");
    const half = Array.from({ length: 5 }, (_, i) => String(i).repeat(600_000));
    writeFileSync(log, `${["before", "x".repeat(3_000_000), ...half, "behind"].join("\n")}\n`);
    const flags = ["--brokers", kafka.brokers, "--state", join(dir, "s.jsonl"), "--max-line-bytes", "5MB"];
    const args = ["tail", log, "--topic", topic, "--from", "beginning", "--once", "--delivery", delivery];
    const { code, stderr } = await logagent([...args, ...flags]);
    const arrived = (await readTopic(kafka.direct, topic)).map(({ value }) => String(value));
    expect(arrived.map((line) => line.slice(0, 10))).toEqual(["before", ...half.map((h) => h.slice(0, 10)), "behind"]);
    expect(stderr).toMatch(/record of 3\d{6} bytes .*socket\.request\.max\.bytes/);
    // Something was left out: that is no success.
    expect(code).toBe(65);
  });
}
