/**
 * What LogAgent did, a follower in Go (hpcloud/tail and sarama): follows one file by polling, reopens after rotation, start position, must-exist, FIFO, rate
 * limit, longest line, quiet logger; one record a line to topic `web_log`; prints partition and offset.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { run } from "../support/process.ts";
import { testWith } from "../support/tools.ts";
import { makePlace, type Place, untilValues, values } from "./helpers.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace("log-agent");
}, 120_000);

afterAll(() => place.stopAll());

test("follows by polling alone, reopens after rotation, prints partition and offset, is quiet when told", async () => {
  const topic = await place.topic("web_log");
  const log = place.path("access.log");
  writeFileSync(log, "one\n");
  const agent = place.tail([
    log,
    "--topic",
    topic,
    "--no-watch",
    "--from",
    "beginning",
    "--print-acks",
    "--log-level",
    "silent",
  ]);
  await untilValues(place.brokers, topic, 1);
  renameSync(log, `${log}.1`);
  writeFileSync(log, "two\n");
  appendFileSync(`${log}.1`, "one and a half\n");
  expect((await untilValues(place.brokers, topic, 3)).sort()).toEqual(["one", "one and a half", "two"]);
  const { code, stdout, stderr } = await agent.stop();
  expect([code, stderr]).toEqual([0, ""]);
  const acks = stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
  expect(acks.every(([name, partition]) => name === topic && partition === "0")).toBe(true);
  expect(acks.reduce((sum, [, , , count]) => sum + Number(count), 0)).toBe(3);
});

test("--no-reopen stays with the first file", async () => {
  const topic = await place.topic("web_log");
  const log = place.path("once.log");
  writeFileSync(log, "one\n");
  place.tail([log, "--topic", topic, "--no-reopen", "--from", "beginning"]);
  await untilValues(place.brokers, topic, 1);
  renameSync(log, `${log}.1`);
  writeFileSync(log, "not this\n");
  appendFileSync(`${log}.1`, "but this\n");
  await untilValues(place.brokers, topic, 2);
  expect(await values(place.brokers, topic)).toEqual(["one", "but this"]);
});

test("start positions: beginning with --once, +BYTES and -BYTES move on to a line's start", async () => {
  const cases: [string[], string[]][] = [
    [
      ["--from", "beginning"],
      ["1111", "2222", "3333"],
    ],
    [
      ["--from", "+2"],
      ["2222", "3333"],
    ],
    [["--from", "-7"], ["3333"]],
    [[], ["1111", "2222", "3333"]],
  ];
  for (const [flags, expected] of cases) {
    const topic = await place.topic("web_log");
    const log = place.path(`from-${topic}.log`);
    writeFileSync(log, "1111\n2222\n3333\n");
    const state = ["--state", place.path(`${topic}.jsonl`)];
    const { code, stderr } = await place.run(["tail", log, "--topic", topic, "--once", ...state, ...flags]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    expect(await values(place.brokers, topic)).toEqual(expected);
  }
});

test("--must-exist refuses a file that is not there", async () => {
  const topic = await place.topic("web_log");
  const words = [
    "tail",
    place.path("absent.log"),
    "--topic",
    topic,
    "--state",
    place.path("absent.jsonl"),
    "--must-exist",
  ];
  const { code, stderr } = await place.run(words);
  expect([code, stderr]).toEqual([74, expect.stringContaining("absent.log")]);
});

testWith(["mkfifo"])("reads a FIFO; exactly-once refuses it", async () => {
  const topic = await place.topic("web_log");
  const fifo = place.path("fifo");
  await run(["mkfifo", fifo]);
  place.tail([fifo, "--topic", topic, "--from", "beginning"]);
  await run(["sh", "-c", 'printf "a\\nb\\n" > "$1"', "sh", fifo]);
  expect(await untilValues(place.brokers, topic, 2)).toEqual(["a", "b"]);
  const words = ["tail", fifo, "--topic", topic, "--state", place.path("fifo.jsonl"), "--delivery", "exactly-once"];
  const refused = await place.run(words);
  expect([refused.code, refused.stderr]).toEqual([64, expect.stringContaining("fifo")]);
});

test("--rate-limit slows and drops nothing", async () => {
  const topic = await place.topic("web_log");
  const log = place.path("rate.log");
  const lines = Array.from({ length: 60 }, (_, i) => `line ${i}`);
  writeFileSync(log, `${lines.join("\n")}\n`);
  const words = ["tail", log, "--topic", topic, "--once", "--state", place.path("rate.jsonl"), "--rate-limit", "30"];
  const began = performance.now();
  expect((await place.run(words)).code).toBe(0);
  // 60 lines at 30 a second, the first second's worth at once: never quicker than that.
  expect(performance.now() - began).toBeGreaterThan(900);
  expect(await values(place.brokers, topic)).toEqual(lines);
});

test("--max-line-bytes splits, cuts or skips the longer line and goes on", async () => {
  const expected = { split: ["x".repeat(20), "xxxxx", "short"], cut: ["x".repeat(20), "short"], skip: ["short"] };
  for (const [policy, lines] of Object.entries(expected)) {
    const topic = await place.topic("web_log");
    const log = place.path(`long-${policy}.log`);
    writeFileSync(log, `${"x".repeat(25)}\nshort\n`);
    const words = [
      "tail",
      log,
      "--topic",
      topic,
      "--once",
      "--state",
      place.path(`${policy}.jsonl`),
      "--max-line-bytes",
      "20B",
    ];
    const { code, stderr } = await place.run([...words, "--too-long", policy]);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
    expect(await values(place.brokers, topic)).toEqual(lines);
  }
});

test("starts at the end by default, and at the beginning of a file that appears later", async () => {
  const topic = await place.topic("web_log");
  const [log, later] = [place.path("now.log"), place.path("later.log")];
  writeFileSync(log, "before\n");
  const agent = place.tail([log, later, "--topic", topic]);
  await agent.says(/following .*now\.log/);
  // Its arrival shows that both names were looked for.
  appendFileSync(log, "after\n");
  await untilValues(place.brokers, topic, 1);
  writeFileSync(later, "here\n");
  expect((await untilValues(place.brokers, topic, 2)).sort()).toEqual(["after", "here"]);
});
