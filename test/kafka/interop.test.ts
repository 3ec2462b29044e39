/** Each codec both ways against clients that are not ours: kcat (librdkafka) and Kafka's own console tools (Java). */
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { codecs } from "../../src/kafka/compression/codec.ts";
import { encodeRecord, type JsonRecord, parseRecord } from "../../src/output/record-json.ts";
import { cli } from "../commands/cli.ts";
import { run } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { createTopic, kafkaTool, sharedKafka, uniqueTopic } from "./broker.ts";

/** Separators that no random record holds. */
const between = "<|5b1c|>";
const after = "<|a07e|>\n";
const seed = Date.now() & 0xffff;

let brokers = "";
const dir = tempDir("interop");
/** Partition i holds what was written with codec i. */
let topic = "";

const blob = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  fc.string({ maxLength: 200 }).map((text) => new Uint8Array(Buffer.from(text))),
  fc.integer({ min: 1000, max: 60_000 }).map((length) => new Uint8Array(length).map((_, i) => (i * i) >> 7)),
);
const name = fc.stringMatching(/^[a-z]{1,8}$/);
const randomRecords = fc.array(
  fc.record({
    key: fc.option(blob),
    value: fc.option(blob),
    headers: fc.array(
      fc.record({ key: name, value: fc.option(name.map((text) => new Uint8Array(Buffer.from(text)))) }),
      {
        maxLength: 3,
      },
    ),
  }),
  { minLength: 40, maxLength: 60 },
);

/** Records of one codec: random ones, and the corner cases by name. */
function recordsOf(partition: number): JsonRecord[] {
  const megabyte = new Uint8Array(1_000_000).map((_, i) => (i * 2_654_435_761) >>> 13);
  return [
    ...(fc.sample(randomRecords, { seed: seed + partition, numRuns: 1 })[0] ?? []),
    { key: null, value: null, headers: [] },
    { key: new Uint8Array(0), value: new Uint8Array(0), headers: [] },
    { key: Buffer.from("large"), value: megabyte, headers: [{ key: "h", value: new Uint8Array(0) }] },
  ];
}

const written = codecs.map((_, partition) => recordsOf(partition));

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  topic = await createTopic(brokers, uniqueTopic("interop"), codecs.length, { "max.message.bytes": "4000000" });
  for (const [partition, codec] of codecs.entries()) {
    const stdin = (written[partition] as JsonRecord[]).map((record) => `${encodeRecord(record)}\n`).join("");
    const args = ["-b", brokers, topic, "-i", "json", "-p", String(partition), "-z", codec, "--batch-size", "300000"];
    const { code, stderr } = await cli(["produce", ...args], { stdin });
    if (code !== 0) throw new Error(`producing with seed ${seed} and ${codec}: ${stderr}`);
  }
}, 120_000);

/** Null is told apart from empty by a length of -1, as kcat prints it. */
const bytesOf = (value: Uint8Array | null | undefined) => Buffer.from(value ?? "").toString("latin1");

describe(`ours, seed ${seed}`, () => {
  for (const [partition, codec] of codecs.entries()) {
    testWith(["kcat"])(`kcat reads ${codec}`, async () => {
      const format = `%K${between}%k${between}%S${between}%s${between}%h${after}`;
      const { stdoutBytes } = await run(
        [
          "kcat",
          "-b",
          brokers,
          "-C",
          "-t",
          topic,
          "-p",
          String(partition),
          "-o",
          "beginning",
          "-e",
          "-q",
          "-f",
          format,
        ],
        {},
      );
      const expected = (written[partition] as JsonRecord[]).map(({ key, value, headers }) => {
        const pairs = headers.map(({ key: header, value: text }) => `${header}=${text ? Buffer.from(text) : "NULL"}`);
        const lengths = [key?.length ?? -1, value?.length ?? -1];
        return [lengths[0], bytesOf(key), lengths[1], bytesOf(value), pairs.join(",")].join(between);
      });
      expect(stdoutBytes.toString("latin1").split(after)).toEqual([...expected, ""]);
    });
  }

  test("Kafka's console consumer reads every codec", async () => {
    const properties = [
      ...["print.partition", "print.headers", "print.key"].map((property) => `${property}=true`),
      `key.separator=${between}`,
      `line.separator=${after}`,
      "null.literal=NIL",
    ].flatMap((property) => ["--property", property]);
    const args = [
      "--bootstrap-server",
      brokers,
      "--topic",
      topic,
      "--from-beginning",
      "--isolation-level",
      "read_committed",
    ];
    const count = written.flat().length;
    const { stdout } = await kafkaTool("org.apache.kafka.tools.consumer.ConsoleConsumer", [
      ...args,
      ...["--max-messages", String(count), "--timeout-ms", "20000"],
      ...properties,
    ]);
    const lines = stdout.toString("latin1").split(after).slice(0, -1);
    for (const partition of codecs.keys()) {
      const prefix = `Partition:${partition}${between}`;
      const found = lines.filter((line) => line.startsWith(prefix)).map((line) => line.slice(prefix.length));
      const text = (value: Uint8Array | null) => (value === null ? "NIL" : bytesOf(value));
      const expected = (written[partition] as JsonRecord[]).map(({ key, value, headers }) => {
        const pairs = headers.map(({ key: header, value: inner }) => `${header}:${text(inner)}`);
        return [pairs.join(",") || "NO_HEADERS", text(key), text(value)].join(between);
      });
      expect(found).toEqual(expected);
    }
  }, 60_000);

  test("consume → produce is an exact round trip", async () => {
    const copy = await createTopic(brokers, uniqueTopic("copy"), codecs.length, { "max.message.bytes": "4000000" });
    const read = (from: string, partition: number) =>
      cli(["consume", "-b", brokers, from, "-p", String(partition), "-O", "start", "-e", "-f", "json"]);
    for (const partition of codecs.keys()) {
      const first = await read(topic, partition);
      const sent = await cli(["produce", "-b", brokers, copy, "-i", "json", "-p", String(partition)], {
        stdin: first.stdout,
      });
      expect(sent.code).toBe(0);
      expect((await read(copy, partition)).stdout.replaceAll(`"topic":"${copy}"`, `"topic":"${topic}"`)).toBe(
        first.stdout,
      );
      expect(first.stdout.split("\n").length).toBe((written[partition] as JsonRecord[]).length + 1);
    }
  }, 60_000);
});

describe("theirs", () => {
  const lines = Array.from({ length: 3000 }, (_, i) => ({
    key: `key-${i % 17}`,
    value: `${i} ${"äbc ".repeat(i % 60)}`,
  }));
  const file = join(dir, "lines");
  writeFileSync(file, lines.map(({ key, value }) => `${key}\t${value}\n`).join(""));

  async function readBack(from: string, partition: number) {
    const { code, stdout } = await cli([
      "consume",
      "-b",
      brokers,
      from,
      "-p",
      String(partition),
      "-O",
      "start",
      "-e",
      "-o",
      "json",
    ]);
    expect(code).toBe(0);
    return stdout.split("\n").slice(0, -1).map(parseRecord);
  }
  const shown = (records: readonly JsonRecord[]) =>
    records.map(({ key, value }) => ({ key: String(Buffer.from(key ?? "")), value: String(Buffer.from(value ?? "")) }));

  testWith(["kcat"])(
    "we read what kcat wrote with every codec",
    async () => {
      const from = await createTopic(brokers, uniqueTopic("kcat"), codecs.length);
      for (const [partition, codec] of codecs.entries()) {
        const args = [
          "-P",
          "-b",
          brokers,
          "-t",
          from,
          "-p",
          String(partition),
          "-K",
          "\t",
          "-H",
          "a=1",
          "-H",
          "a=2",
          "-l",
          file,
        ];
        await run(["kcat", ...args, ...(codec === "none" ? [] : ["-z", codec])]);
        const found = await readBack(from, partition);
        expect(shown(found)).toEqual(lines);
        expect(found[0]?.headers).toEqual([
          { key: "a", value: Buffer.from("1") },
          { key: "a", value: Buffer.from("2") },
        ]);
      }
    },
    60_000,
  );

  test("we read what Kafka's performance producer wrote with every codec", async () => {
    const from = await createTopic(brokers, uniqueTopic("java"), 1);
    const payloads = join(dir, "payloads");
    writeFileSync(payloads, lines.map(({ value }) => `${value}\n`).join(""));
    const known = new Set(lines.map(({ value }) => value.trim()));
    // Two at a time: a JVM each.
    const write = (codec: string) =>
      kafkaTool("org.apache.kafka.tools.ProducerPerformance", [
        ...["--topic", from, "--num-records", "2000", "--throughput", "-1", "--payload-file", payloads],
        ...["--producer-props", `bootstrap.servers=${brokers}`, `compression.type=${codec}`, "linger.ms=20"],
      ]);
    for (let i = 0; i < codecs.length; i += 2) await Promise.all(codecs.slice(i, i + 2).map(write));
    const found = await readBack(from, 0);
    expect(found.length).toBe(2000 * codecs.length);
    for (const { value } of found) expect(known.has(String(Buffer.from(value ?? "")).trim())).toBe(true);
  }, 90_000);
});
