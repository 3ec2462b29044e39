/** `logagent produce` as its users run it. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { type ReadRecord, readTopic } from "../kafka/producing.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { cli, shell } from "./cli.ts";

let brokers = "";
let env: Record<string, string> = {};
const dir = tempDir("produce");

setDefaultTimeout(60_000);

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  env = { LOGAGENT_BROKERS: brokers };
}, 120_000);

afterAll(() => removeDir(dir));

const topicFor = (partitions = 1) => createTopic(brokers, uniqueTopic("produce"), partitions);
const produce = (args: readonly string[], stdin?: string | Uint8Array) =>
  cli(["produce", ...args], { env, ...(stdin === undefined ? {} : { stdin }) });
const values = async (topic: string) => (await readTopic(brokers, topic)).map(({ value }) => value?.toString() ?? null);
const plain = (records: readonly ReadRecord[]) =>
  records.map(({ key, value, headers }) => [key, value?.toString() ?? null, headers]);

test("values, keys, headers and the acknowledgement's line", async () => {
  const topic = await topicFor(3);
  const args = ["--value", "a", "--value", "b", "--key", "k", "--header", "h=1=2", "--partition", "2"];
  const { code, stdout } = await produce([topic, ...args, "--output-format", "%t %p %o"]);
  expect([code, stdout]).toEqual([0, `${topic} 2 0\n${topic} 2 1\n`]);
  expect(plain(await readTopic(brokers, topic))).toEqual([
    ["k", "a", [["h", "1=2"]]],
    ["k", "b", [["h", "1=2"]]],
  ]);
});

test("lines of stdin: empty ones, carriage returns, bytes that are no text, an unterminated last one", async () => {
  const topic = await topicFor();
  expect((await produce([topic], Buffer.from("one\n\ntwo\r\n\xff\xfe\0\nlast", "latin1"))).code).toBe(0);
  const records = (await readTopic(brokers, topic)).map(({ value }) => value?.toString("latin1"));
  expect(records).toEqual(["one", "", "two\r", "\xff\xfe\0", "last"]);
});

test("stdin through a slow pipe, and lines longer than any buffer", async () => {
  const topic = await topicFor();
  const script = `(printf 'par'; sleep 0.3; printf 'tial\\nx'; sleep 0.3; head -c 700000 /dev/zero | tr '\\0' y; echo) | "$@" produce ${topic}`;
  expect((await shell(script, { env })).code).toBe(0);
  const [first, second, ...rest] = await values(topic);
  expect([first, second?.length, second?.slice(0, 2), rest]).toEqual(["partial", 700_001, "xy", []]);
});

test("files in turn, one that is missing: what came before is sent, 74", async () => {
  const topic = await topicFor();
  const [a, b] = [join(dir, "a"), join(dir, "b")];
  writeFileSync(a, "1\n2\n");
  writeFileSync(b, "3");
  const { code, stderr } = await produce(["--topic", topic, a, b, join(dir, "missing")]);
  expect([code, stderr]).toEqual([74, expect.stringContaining("missing")]);
  expect(await values(topic)).toEqual(["1", "2", "3"]);
  expect((await produce([topic, a, "--input-format", "whole"])).code).toBe(0);
  expect((await values(topic))[3]).toBe("1\n2\n");
});

test("more files than a process may have open", async () => {
  const topic = await topicFor();
  const many = Array.from({ length: 100 }, (_, n) => join(dir, `many-${n}`));
  for (const [n, path] of many.entries()) writeFileSync(path, `${n}\n`);
  const { code, stderr } = await shell(`ulimit -n 64; "$@" produce --topic ${topic} ${many.join(" ")}`, { env });
  expect([code, stderr]).toEqual([0, ""]);
  expect(await values(topic)).toEqual(many.map((_, n) => String(n)));
});

test("keys by delimiter, null values, tombstones", async () => {
  const topic = await topicFor();
  const { code } = await produce([topic, "--key-delimiter", "\\t", "--null-value"], "a\t1\nb\t\nnone\n\tempty\n");
  expect(code).toBe(0);
  expect((await produce([topic, "--tombstone", "--key", "a"])).code).toBe(0);
  expect(plain(await readTopic(brokers, topic))).toEqual([
    ["a", "1", []],
    ["b", null, []],
    [null, "none", []],
    ["", "empty", []],
    ["a", null, []],
  ]);
});

test("consume's JSON fed to produce is the same topic again", async () => {
  const [from, to] = [await topicFor(3), await topicFor(3)];
  const input = [
    { key: "k", value: "v", partition: 2, timestamp: 1_600_000_000_123, headers: [{ key: "h", value: "x" }] },
    { key: null, value: null, partition: 0, timestamp: 1 },
    {
      key_base64: "/w==",
      value_base64: "/v8A",
      partition: 1,
      headers: [
        { key: "h", value: null },
        { key: "h", value_base64: "gA==" },
      ],
    },
    { key: "", value: "", partition: 2, timestamp: 1_600_000_000_000 },
    { key: "zeile\n", value: 'ä\u2028"\\', partition: 0, timestamp: 2 },
  ];
  const json = input.map((record) => JSON.stringify(record)).join("\n");
  expect((await produce([from, "--input-format", "json"], json)).code).toBe(0);
  const consume = (topic: string) => cli(["consume", topic, "-O", "start", "-e", "-f", "json"], { env });
  const printed = (await consume(from)).stdout;
  expect(printed.trim().split("\n")).toHaveLength(5);
  expect((await produce([to, "--input-format", "json"], printed)).code).toBe(0);
  const again = (await consume(to)).stdout.replaceAll(to, from);
  expect(again.split("\n").sort()).toEqual(printed.split("\n").sort());
});

test("bad JSON names its line; what came before is sent", async () => {
  const topic = await topicFor();
  const { code, stderr } = await produce([topic, "-i", "json"], '{"value":"good"}\n{"value":}\n');
  expect([code, stderr]).toEqual([65, expect.stringContaining("line 2")]);
  expect(await values(topic)).toEqual(["good"]);
});

test("acks 0 and 1, every codec, a rate", async () => {
  const topic = await topicFor();
  for (const flags of ["-z gzip", "-z snappy", "-z lz4", "-z zstd", "--acks 1", "--acks 0"]) {
    expect((await produce([topic, ...flags.split(" ")], "line\n".repeat(50))).code).toBe(0);
  }
  expect((await produce([topic, "--rate", "1000"], "line\n".repeat(300))).code).toBe(0);
  expect(await values(topic)).toEqual(Array.from({ length: 600 }, () => "line"));
});

test("a record the broker refuses is told and is no success", async () => {
  const topic = await createTopic(brokers, uniqueTopic("produce"), 1, { "max.message.bytes": "1000" });
  const { code, stderr } = await produce([topic], `small\n${Array.from({ length: 999 }, Math.random)}\nlast\n`);
  expect([code, stderr]).toEqual([69, expect.stringContaining("MESSAGE_TOO_LARGE")]);
  expect(await values(topic)).toEqual(["small", "last"]);
});

test("usage errors say what to do", async () => {
  const cases: [string[], number, RegExp][] = [
    [["t", "--value", ""], 64, /--allow-empty/],
    [["--value", "x"], 64, /topic is missing/],
    [["no/slash", "--value", "x"], 64, /no\/slash/],
    [["t", "--tombstone"], 64, /--key/],
    [["t", "--partition", "1", "--partitioner", "random"], 64, /exclude each other/],
    [["t", "--value", "x", "--output-format", "%q"], 64, /%q/],
    [[uniqueTopic("missing"), "--value", "x"], 69, /logagent topics create/],
    [["t", "--value", "x", "--brokers", "127.0.0.1:1", "--timeout", "700ms"], 69, /127\.0\.0\.1:1.*refused/],
  ];
  for (const [args, code, text] of cases) {
    const result = await produce(args);
    expect([args, result.code, result.stdout]).toEqual([args, code, ""]);
    expect(result.stderr).toMatch(text);
  }
  const topic = await topicFor();
  expect((await produce([topic, "--value", "", "--allow-empty"])).code).toBe(0);
  expect(await values(topic)).toEqual([""]);
});
