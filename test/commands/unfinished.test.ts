/** What a command was asked to do and did not do: it is said, and the exit code is not 0. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTopic, endOffsets, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { cli, shell } from "./cli.ts";

const dir = tempDir("unfinished");
const spool = join(dir, "spool");
let brokers = "";
let env: Record<string, string> = {};
beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  env = { LOGAGENT_BROKERS: brokers };
  writeFileSync(spool, Array.from({ length: 500_000 }, (_, i) => `${i}\n`).join(""));
}, 60_000);
afterAll(() => removeDir(dir));

const records = async (topic: string) => (await endOffsets(brokers, topic)).reduce((sum, end) => sum + end, 0n);

describe("an interrupted produce", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    for (const delivery of ["at-least-once", "exactly-once"]) {
      test(`from a file by ${signal}, ${delivery}: says how far it came`, async () => {
        const topic = await createTopic(brokers, uniqueTopic("interrupted"), 1);
        const args = ["produce", topic, spool, "--rate", "20000", "--delivery", delivery];
        const produce = startLogagent(args, { env });
        await waitFor("the first records", async () => (await records(topic)) > 0n);
        const result = await produce.stop(signal);
        expect(result.code).toBe(code);
        const said =
          /interrupted by (\w+): (\d+) records were acknowledged; ".*spool" was sent up to line (\d+), the rest of it was not/;
        const [, name, acknowledged, line] = said.exec(result.stderr) ?? [];
        expect([name, acknowledged]).toEqual([signal, line!]);
        const ends = await endOffsets(brokers, topic, true);
        // Commit markers take offsets too.
        if (delivery === "at-least-once") expect(String(ends[0])).toBe(acknowledged!);
        const read = await cli(["consume", topic, "-O", "start", "-e"], { env });
        expect(read.stdout.split("\n").length - 1).toBe(Number(acknowledged));
      }, 60_000);
    }
  }

  test("from stdin: says so too", async () => {
    const topic = await createTopic(brokers, uniqueTopic("interrupted"), 1);
    const produce = startLogagent(["produce", topic], { env, stdin: "pipe" });
    produce.child.stdin?.write("a\nb\n");
    await waitFor("the first records", async () => (await records(topic)) === 2n);
    const result = await produce.stop("SIGINT");
    expect([result.code, result.stderr]).toEqual([
      130,
      expect.stringContaining("stdin was sent up to line 2, the rest of it was not"),
    ]);
  }, 60_000);
});

describe("an interrupted tail --once", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    for (const delivery of ["at-least-once", "exactly-once"]) {
      test(`by ${signal}, ${delivery}: says how far it came`, async () => {
        const topic = await createTopic(brokers, uniqueTopic("interrupted"), 1);
        const args = ["tail", spool, "--topic", topic, "--once", "--rate-limit", "5000", "--delivery", delivery];
        const tail = startLogagent([...args, "--state", join(dir, topic, "state.jsonl")], { env });
        await waitFor("the first records", async () => (await records(topic)) > 0n);
        const result = await tail.stop(signal);
        const [, name, acknowledged, bytes] =
          /stopped by (\w+): (\d+) records were acknowledged; (\d+) bytes of the files were not sent/.exec(
            result.stderr,
          ) ?? [];
        expect([result.code, name]).toEqual([code, signal]);
        const sent = (await cli(["consume", topic, "-O", "start", "-e"], { env })).stdout;
        expect(sent.split("\n").length - 1).toBe(Number(acknowledged));
        expect(statSync(spool).size - sent.length).toBe(Number(bytes));
      }, 60_000);
    }
  }

  test("by nothing: no word of it, 0", async () => {
    const topic = await createTopic(brokers, uniqueTopic("interrupted"), 1);
    const args = ["tail", spool, "--topic", topic, "--once", "--state", join(dir, topic, "state.jsonl")];
    const result = await startLogagent(args, { env }).exited;
    expect([result.code, result.stderr.includes("were not sent")]).toEqual([0, false]);
  }, 60_000);
});

test.skipIf(!existsSync("/dev/full"))(
  "tail --print-acks on a full disk goes on sending; it ends with 74",
  async () => {
    const topic = await createTopic(brokers, uniqueTopic("full"), 1);
    const args = ["tail", spool, "--topic", topic, "--from", "beginning", "--print-acks"];
    const under = ["sh", "-c", 'exec "$0" "$@" >/dev/full'];
    const tail = startLogagent([...args, "--state", join(dir, topic, "state.jsonl")], { env, under });
    await waitFor("all records", async () => (await records(topic)) === 500_000n);
    const { code, stderr } = await tail.stop();
    expect([code, stderr.match(/writing to standard output: ENOSPC/g)]).toEqual([
      74,
      expect.objectContaining({ length: 1 }),
    ]);
  },
  60_000,
);

test("consume that did not reach its end says so; one without an end was not asked to", async () => {
  const topic = await createTopic(brokers, uniqueTopic("interrupted"), 1);
  expect((await cli(["produce", topic, "--value", "x"], { env })).code).toBe(0);
  for (const [more, code] of [
    [["--count", "5"], 130],
    [[], 0],
  ] as const) {
    const consume = startLogagent(["consume", topic, "--offsets", "start", ...more], { env });
    await waitFor("the first record", () => consume.stdout === "x\n");
    const result = await consume.stop("SIGINT");
    expect(result.code).toBe(code);
    expect(result.stderr.includes("1 records were printed, the end was not reached")).toBe(code !== 0);
  }
}, 60_000);

describe("one bad JSON record", () => {
  const good = (from: number) => Array.from({ length: 5000 }, (_, i) => JSON.stringify({ value: `v${from + i}` }));
  test.each([
    [
      '{"topic":"T","value":"x","partition":7}',
      /line 5001: producing to partition 7 of topic ".*": it has only partitions 0 to 0/,
      false,
    ],
    ['{"value":"x","partition":-1}', /line 5001: producing to partition -1/, false],
    ['{"value":"x","topic":"a b"}', /line 5001: .*topic name/, true],
    [
      '{"value":"x","topic":"there-is-none"}',
      /line 5001: producing to topic "there-is-none": there is no such topic/,
      true,
    ],
    ['{"value":"x"}', /line 5001: producing: a topic is missing/, true],
    ['{"value":5}', /line 5001: reading a JSON record: "value" must be a string/, false],
  ] as const)(
    "%p: all before it are sent, its line is named, 65",
    async (bad, message, own) => {
      const topic = await createTopic(brokers, uniqueTopic("json"), 1);
      const lines = [...good(0), bad.replace('"T"', JSON.stringify(topic)), ...good(5000)];
      const named = lines.map((line) =>
        own && line !== bad ? line.replace("{", `{"topic":${JSON.stringify(topic)},`) : line,
      );
      const to = own ? [] : [topic];
      const { code, stderr } = await cli(["produce", ...to, "--input-format", "json"], {
        env,
        stdin: `${named.join("\n")}\n`,
      });
      expect(stderr).toMatch(message);
      expect(code).toBe(65);
      expect(await records(topic)).toBe(5000n);
    },
    60_000,
  );
});

test("timestamps of 64 bits come back with all their digits; one that the topic does not take is 65", async () => {
  const unlimited = {
    "message.timestamp.after.max.ms": "9223372036854775807",
    "message.timestamp.before.max.ms": "9223372036854775807",
  };
  const topic = await createTopic(brokers, uniqueTopic("times"), 1, unlimited);
  const times = ["9223372036854775807", "1764093000123456789", "1764093000123"];
  const stdin = times.map((time) => `{"value":"v","timestamp":${time}}\n`).join("");
  const sent = await cli(["produce", topic, "-i", "json"], { env, stdin });
  expect([sent.code, sent.stderr]).toEqual([0, ""]);
  const read = (format: string) => cli(["consume", topic, "-O", "start", "-e", "-f", format], { env });
  expect((await read("%T\n")).stdout.trim().split("\n")).toEqual(times);
  expect((await read("json")).stdout.match(/(?<="timestamp":)\d+/g)?.map(String)).toEqual(times);
  const strict = await createTopic(brokers, uniqueTopic("times"), 1);
  const refused = await cli(["produce", strict, "-i", "json"], { env, stdin });
  expect(refused.code).toBe(65);
  expect(refused.stderr).not.toContain("internal error");
}, 60_000);

const full = existsSync("/dev/full") ? test : test.skip;
describe("a full disk behind stdout ends with 74", () => {
  full(
    "produce sends all the same",
    async () => {
      const topic = await createTopic(brokers, uniqueTopic("full"), 1);
      const line = `seq 100000 | "$@" produce ${topic} -o '%p %o' >/dev/full; echo "code $?" >&2`;
      const { stderr } = await shell(line, { env });
      expect(stderr).toContain("writing to standard output: ENOSPC");
      expect(stderr).toEndWith("code 74\n");
      expect(await records(topic)).toBe(100_000n);
    },
    60_000,
  );

  full(
    "consume, topics, groups and the help",
    async () => {
      const topic = await createTopic(brokers, uniqueTopic("full"), 1);
      expect((await cli(["produce", topic, "--value", "x"], { env })).code).toBe(0);
      for (const line of [
        `consume ${topic} -O start -e`,
        "topics list",
        `topics describe ${topic}`,
        "groups list",
        "--help",
        "completion bash",
      ]) {
        const { stderr } = await shell(`"$@" ${line} >/dev/full; echo "code $?" >&2`, { env });
        expect(stderr).toContain("writing to standard output: ENOSPC");
        expect(stderr).toEndWith("code 74\n");
        expect(stderr).not.toContain("internal error");
      }
    },
    60_000,
  );
});
