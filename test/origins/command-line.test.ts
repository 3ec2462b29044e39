/**
 * What an older Kafka command line did: `produce -topic -value` with a clear error for an empty value; `consume -topic`; the
 * topic name rule; segments, replicas and in-sync replicas shown.
 */
import { beforeAll, expect, test } from "bun:test";
import { uniqueTopic } from "../kafka/broker.ts";
import { makePlace, type Place } from "./helpers.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace("command-line");
}, 120_000);

test("produce a value, consume it, describe the topic, delete it", async () => {
  const topic = uniqueTopic("cli");
  expect((await place.run(["topics", "create", topic, "--partitions", "2"])).code).toBe(0);
  const produced = await place.run(["produce", "--topic", topic, "--value", "hello", "--output-format", "%t %p %o\\n"]);
  expect([produced.code, produced.stderr]).toEqual([0, ""]);
  expect(produced.stdout).toMatch(new RegExp(`^${topic} [01] 0\n$`));
  const consumed = await place.run(["consume", "--topic", topic, "--offsets", "start", "--exit-at-end"]);
  expect([consumed.code, consumed.stdout]).toEqual([0, "hello\n"]);
  const described = await place.run(["topics", "describe", topic]);
  expect(described.code).toBe(0);
  expect(described.stdout).toMatch(/replicas/i);
  expect(described.stdout).toMatch(/isr|in.sync/i);
  expect(described.stdout).toMatch(/segment|size/i);
  expect((await place.run(["topics", "delete", topic])).code).toBe(0);
});

test("an empty value is refused, and sent when allowed", async () => {
  const topic = await place.topic("cli");
  const refused = await place.run(["produce", "--topic", topic, "--value", ""]);
  expect([refused.code, refused.stdout]).toEqual([64, ""]);
  expect(refused.stderr).toContain("--allow-empty");
  expect((await place.run(["produce", "--topic", topic, "--value", "", "--allow-empty"])).code).toBe(0);
  const consumed = await place.run(["consume", topic, "-O", "start", "-e"]);
  expect(consumed.stdout).toBe("\n");
});

test("the topic name rule is checked before any connection", async () => {
  const nowhere = ["--brokers", "127.0.0.1:1"];
  for (const name of ["a b", "ä", ".", "..", "", "x".repeat(250), "a/b"]) {
    const { code, stderr } = await place.run(["topics", "create", name, ...nowhere]);
    expect([code, stderr]).toEqual([64, expect.stringContaining("topic")]);
  }
});

test("consume's JSON fed to produce is a lossless round trip", async () => {
  const [one, two] = [await place.topic("cli"), await place.topic("cli")];
  const header = ["--header", "a=1", "--header", "b="];
  expect((await place.run(["produce", one, "--key", "k", ...header, "--value", 'quote " and \\ and ü'])).code).toBe(0);
  expect((await place.run(["produce", one, "--key", "gone", "--tombstone"])).code).toBe(0);
  const json = async (topic: string) => (await place.run(["consume", topic, "-O", "start", "-e", "-f", "json"])).stdout;
  const first = await json(one);
  expect((await place.run(["produce", two, "--input-format", "json"], { stdin: first })).code).toBe(0);
  const plain = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => {
        const { key, value, headers } = JSON.parse(line);
        return { key, value, headers };
      });
  expect(plain(await json(two))).toEqual(plain(first));
  expect(plain(first)).toHaveLength(2);
});
