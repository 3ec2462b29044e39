/** Everything that an older Kafka command line did, with ours; and the same sources on Deno. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { type Result, root, run } from "../support/process.ts";
import { main } from "./cli.ts";

const deno = [join(root, "node_modules", ".bin", "deno"), "run", "-A", join(root, "src", "main.ts")];
let brokers = "";
beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 60_000);

describe.each([
  ["Bun", main],
  ["Deno", deno],
])("the Kafka command line on %s", (_, program) => {
  const topic = uniqueTopic("cli");
  const logagent = (...words: string[]): Promise<Result> =>
    run([...program, ...words], { env: { LOGAGENT_BROKERS: brokers } });

  test("creates a topic and shows segments, replicas and in-sync replicas", async () => {
    expect((await logagent("topics", "create", topic, "-p", "2", "-c", "segment.bytes=30000000")).code).toBe(0);
    const { code, stdout } = await logagent("topics", "describe", topic);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /PARTITION +LEADER +REPLICAS +ISR +START +END +MESSAGES +SIZE\n +0 +(\d+) +\1 +\1 +0 +0 +0 +0 B/,
    );
    expect(stdout).toMatch(/segment\.bytes +30000000 +topic/);
  });

  test("produces a value and consumes it", async () => {
    const produced = await logagent(
      "produce",
      "--topic",
      topic,
      "--value",
      "héllo",
      "--key",
      "k",
      "--output-format",
      "%t %o\\n",
    );
    expect(produced).toMatchObject({ code: 0, stdout: `${topic} 0\n` });
    const consumed = await logagent(
      "consume",
      "--topic",
      topic,
      "--offsets",
      "start",
      "--exit-at-end",
      "--format",
      "%k=%v\\n",
    );
    expect(consumed).toMatchObject({ code: 0, stdout: "k=héllo\n" });
  });

  test("refuses an empty value, a wrong topic name and a missing topic, each with its reason", async () => {
    const empty = await logagent("produce", "--topic", topic, "--value", "");
    expect([empty.code, empty.stderr]).toEqual([64, expect.stringContaining("--value is empty")]);
    for (const command of ["produce", "consume"]) {
      const wrong = await logagent(command, "--topic", "web log");
      expect([wrong.code, wrong.stderr]).toEqual([64, expect.stringContaining("a topic name may hold only")]);
      const missing = await logagent(command);
      expect([missing.code, missing.stderr]).toEqual([64, expect.stringContaining("a topic is missing")]);
    }
    const unknown = await logagent("consume", "--topic", "nope-nope");
    expect([unknown.code, unknown.stderr]).toEqual([69, expect.stringContaining("topics create nope-nope")]);
  });

  test("deletes the topic", async () => {
    expect((await logagent("topics", "delete", topic)).code).toBe(0);
    expect((await logagent("topics", "list", "-o", "name")).stdout.split("\n")).not.toContain(topic);
  });
});
