/** `… | head -1`: commands that hold something stop cleanly, with 0 and without a word about it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { cli, shell } from "./cli.ts";

const dir = tempDir("reader");
const topic = uniqueTopic("reader");
const log = join(dir, "a.log");
const state = join(dir, "state.jsonl");
let env: Record<string, string> = {};
beforeAll(async () => {
  const { brokers } = await sharedKafka();
  env = { LOGAGENT_BROKERS: brokers, LOGAGENT_LOG_LEVEL: "warn" };
  await createTopic(brokers, topic, 1);
}, 60_000);
afterAll(() => removeDir(dir));

test("tail --print-acks drains and keeps its position", async () => {
  writeFileSync(log, "1\n2\n3\n");
  const writer = `(i=0; while [ $i -lt 100 ] && [ ! -e ${dir}/done ]; do sleep 0.1; echo more >> ${log}; i=$((i+1)); done) &`;
  const tail = `"$@" tail ${log} -t ${topic} --from beginning --state ${state} --print-acks`;
  const { stdout, stderr } = await shell(
    `${writer} { ${tail}; echo "code $?" >&2; touch ${dir}/done; } | head -1; wait`,
    { env },
  );
  expect(stdout).toMatch(new RegExp(`^${topic}\\t0\\t0\\t\\d+\\n$`));
  expect(stderr).toBe("code 0\n");
  // What the topic holds and what the state says agree: the next start repeats nothing and skips nothing.
  const again = await cli(["tail", log, "-t", topic, "--state", state, "--once"], { env });
  expect(again.code).toBe(0);
  const read = await cli(["consume", topic, "-O", "start", "-e"], { env });
  expect(read.stdout).toMatch(/^1\n2\n3\n(more\n)+$/);
  const written = await shell(`wc -l < ${log}`);
  expect(read.stdout.split("\n").length - 1).toBe(Number(written.stdout));
}, 60_000);

test("consume ends", async () => {
  // More than a pipe holds: a reader that left is noticed by the next write only.
  const many = `${topic}-many`;
  const values = Array.from({ length: 100_000 }, (_, i) => `${i}\n`).join("");
  expect((await cli(["topics", "create", many, "-p", "1"], { env })).code).toBe(0);
  expect((await cli(["produce", many], { env, stdin: values })).code).toBe(0);
  for (const more of [[], ["--group", topic]]) {
    const line = ["consume", many, "-O", "start", ...more].join(" ");
    const { stdout, stderr } = await shell(`{ "$@" ${line}; echo "code $?" >&2; } | head -1`, { env });
    expect([stdout, stderr]).toEqual(["0\n", "code 0\n"]);
  }
}, 60_000);
