import { beforeAll, describe, expect, test } from "bun:test";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { run } from "../support/process.ts";
import { testWith } from "../support/tools.ts";
import { cli } from "./cli.ts";

let brokers = "";
beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 60_000);

/** `words` after `logagent topics`. */
const topics = (...words: string[]) => cli(["topics", ...words], { env: { LOGAGENT_BROKERS: brokers } });
const json = async (...words: string[]) => JSON.parse((await topics(...words, "-o", "json")).stdout);

describe("create, alter, describe, delete", () => {
  const [one, two] = [uniqueTopic("made"), uniqueTopic("made")];

  test("--dry-run creates nothing", async () => {
    const { code, stdout } = await topics("create", one, "-p", "3", "--dry-run");
    expect([code, stdout]).toEqual([0, expect.stringContaining("would be created")]);
    expect((await topics("describe", one)).code).toBe(69);
  });

  test("create, seen at once by list and describe", async () => {
    const made = await topics(
      "create",
      one,
      two,
      "-p",
      "3",
      "-r",
      "1",
      "-c",
      "retention.ms=3600000",
      "-c",
      "max.message.bytes=2000000",
    );
    expect(made.code).toBe(0);
    expect(made.stdout.match(/created/g)).toHaveLength(2);
    const listed = (await topics("list", "-o", "name")).stdout.split("\n");
    expect(listed).toContain(one);
    const [described] = await json("describe", one);
    expect(described).toMatchObject({ topic: one, partitionCount: 3, replication: 1, messages: 0 });
    expect(described.partitions.map((p: { partition: number }) => p.partition)).toEqual([0, 1, 2]);
    expect(configsOf(described)).toMatchObject({ "retention.ms": "3600000", "max.message.bytes": "2000000" });
  });

  test("one that exists fails, the others are made, the exit code tells; --if-not-exists excuses", async () => {
    const three = uniqueTopic("made");
    const { code, stdout, stderr } = await topics("create", one, three);
    expect(code).toBe(69);
    expect(stderr).toBe(`logagent: topic "${one}": it exists already (TOPIC_ALREADY_EXISTS)\n`);
    expect(stdout).toMatch(new RegExp(`${three} +created`));
    expect((await topics("create", one, "--if-not-exists")).code).toBe(0);
  });

  test("alter changes what is named and leaves the rest (incremental)", async () => {
    expect((await topics("alter", one, "-c", "segment.bytes=20000000")).code).toBe(0);
    expect(configsOf((await json("describe", one))[0])).toMatchObject({
      "retention.ms": "3600000",
      "segment.bytes": "20000000",
    });
    expect(
      (await topics("alter", one, "--delete-config", "retention.ms", "--append", "cleanup.policy=compact")).code,
    ).toBe(0);
    const configs = configsOf((await json("describe", one))[0]);
    expect(configs["retention.ms"]).not.toBe("3600000");
    expect(configs["cleanup.policy"]).toBe("delete,compact");
  });

  test("a refused alter changes nothing of that topic", async () => {
    const { code, stderr } = await topics("alter", one, "-c", "segment.bytes=30000000", "-p", "2");
    expect(code).toBe(69);
    expect(stderr).toContain("INVALID_PARTITIONS");
    const [described] = await json("describe", one);
    expect(configsOf(described)["segment.bytes"]).toBe("20000000");
    expect((await topics("alter", one, "-c", "no.such.config=1")).stderr).toContain("INVALID_CONFIG");
  });

  test("alter --partitions, with a dry run first", async () => {
    await topics("alter", one, "-p", "5", "--dry-run");
    expect((await json("describe", one))[0].partitionCount).toBe(3);
    expect((await topics("alter", one, "-p", "5")).code).toBe(0);
    expect((await json("describe", one))[0].partitionCount).toBe(5);
  });

  test("delete: what exists goes, what does not is a failure unless --if-exists", async () => {
    expect((await topics("delete", two, "--dry-run")).stdout).toContain("would be deleted");
    const { code, stdout, stderr } = await topics("delete", two, "nope-nope");
    expect([code, stderr]).toEqual([69, 'logagent: topic "nope-nope": no such topic (UNKNOWN_TOPIC_OR_PARTITION)\n']);
    expect(stdout).toMatch(new RegExp(`${two} +deleted`));
    expect((await topics("delete", two, "--if-exists")).code).toBe(0);
    expect((await topics("list", "-o", "name")).stdout.split("\n")).not.toContain(two);
  });
});

describe("counts and sizes", () => {
  const topic = uniqueTopic("counted");

  testWith(["kcat"])("describe and offsets show messages, first and next offset, bytes", async () => {
    await createTopic(brokers, topic, 2);
    const input = Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join("");
    await run(["kcat", "-P", "-b", brokers, "-t", topic, "-p", "1"], { stdin: input });
    const [described] = await json("describe", topic);
    expect(described.messages).toBe(100);
    expect(described.bytes).toBeGreaterThan(700);
    expect(described.partitions).toMatchObject([
      { partition: 0, startOffset: 0, endOffset: 0, messages: 0, bytes: 0 },
      { partition: 1, startOffset: 0, endOffset: 100, messages: 100, isr: described.partitions[1].replicas },
    ]);
    expect(await json("offsets", topic, "--at", "-10")).toMatchObject([
      { partition: 0, endOffset: 0, offset: 0 },
      { partition: 1, startOffset: 0, endOffset: 100, messages: 100, offset: 90 },
    ]);
    expect(await json("offsets", topic, "--at", "@-1h")).toMatchObject([{ offset: 0 }, { offset: 0 }]);
  });

  test("a topic that does not exist: the others are shown, the exit code tells", async () => {
    await createTopic(brokers, topic, 2).catch(() => {});
    for (const command of ["describe", "offsets"]) {
      const { code, stdout, stderr } = await topics(command, topic, "nope-nope");
      expect(code).toBe(69);
      expect(stdout).toContain(topic);
      expect(stderr).toContain('topic "nope-nope": no such topic');
    }
  });
});

test("the forms of output hold the same", async () => {
  const rows = await json("list");
  const { stdout: table } = await topics("list");
  const { stdout: yaml } = await topics("list", "-o", "yaml");
  for (const { topic } of rows) {
    expect(table).toContain(`${topic} `);
    expect(yaml).toContain(`- topic: ${topic}\n`);
  }
  expect(await json("list", "--under-replicated")).toEqual([]);
  expect((await json("list", "--internal")).length).toBeGreaterThanOrEqual(rows.length);
});

function configsOf(described: { configs: { name: string; value: string }[] }): Record<string, string> {
  return Object.fromEntries(described.configs.map(({ name, value }) => [name, value]));
}
