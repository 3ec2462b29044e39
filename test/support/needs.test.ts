import { expect, test } from "bun:test";
import { readSource, sourceFiles } from "./imports.ts";
import { needsOf } from "./needs.ts";

test.each([
  ["test/tail/glob.test.ts", { kafka: false, binary: false }],
  ["test/kafka/crc32c.test.ts", { kafka: false, binary: false }],
  // From the sources, without the compiled program.
  ["test/commands/main.test.ts", { kafka: false, binary: false }],
  ["test/commands/topics.test.ts", { kafka: true, binary: false }],
  // Through a helper.
  ["test/origins/log-agent.test.ts", { kafka: true, binary: true }],
  ["test/pipeline/tail.test.ts", { kafka: true, binary: true }],
  // A node of its own.
  ["test/kafka/fetch.test.ts", { kafka: false, binary: false }],
])("%s needs %j", (file, needs) => expect(needsOf(file)).toEqual(needs));

test("no test file names the program or the node in a way that is not seen", () => {
  const tests = sourceFiles("test").filter((file) => file.endsWith(".test.ts"));
  const direct = tests.filter((file) => /\b(sharedKafka|LOGAGENT_TEST_BROKERS)\b/.test(readSource(file)));
  expect(direct.length).toBeGreaterThan(10);
  const own = "test/support/needs.test.ts";
  expect(direct.filter((file) => file !== own && !needsOf(file).kafka)).toEqual([]);
  // Not where `logagent` is a function of the file's own.
  const calls = (text: string) => /\b(startLogagent|binary|logagent)\(/.test(text) && !/\blogagent =/.test(text);
  const program = tests.filter((file) => calls(readSource(file)));
  expect(program.length).toBeGreaterThan(10);
  expect(program.filter((file) => !needsOf(file).binary)).toEqual([]);
});
