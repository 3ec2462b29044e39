import { expect, test } from "bun:test";
import { LogagentError } from "../../src/errors.ts";
import { silentLog } from "../../src/observe/log.ts";
import { Topics } from "../../src/pipeline/topics.ts";
import { systemClock } from "../../src/runtime.ts";
import { input, until } from "./agent-parts.ts";
import { MemorySink } from "./memory-sink.ts";

/** Waits for topic `t`, whose look-up fails when `fail` is called; what was logged as an error. */
function waiting() {
  const sink = new MemorySink();
  const errors: string[] = [];
  const abort = new AbortController();
  let fail: (error: Error) => void = () => {};
  sink.prepare = () =>
    new Promise((_, reject) => {
      fail = reject;
    });
  const topics = new Topics({
    sink,
    clock: systemClock,
    random: () => 0.5,
    log: { ...silentLog, error: (text: string) => void errors.push(text) },
    create: async () => {},
    connected: Promise.resolve(),
    signal: abort.signal,
    impatient: false,
  });
  void topics.wait(input("i", ["a"]));
  return { abort, errors, fail: (error: Error) => fail(error) };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

test("a look-up that the stop itself ends is no trouble", async () => {
  const { abort, errors, fail } = waiting();
  await settle();
  abort.abort();
  fail(new LogagentError("BROKER_UNAVAILABLE", 'looking up topic "t": the producer was closed'));
  await settle();
  expect(errors).toEqual([]);
});

test("a missing topic is said with both ways to create it, once", async () => {
  const { abort, errors, fail } = waiting();
  await settle();
  const text = 'producing to topic "t": there is no such topic';
  fail(new LogagentError("BROKER_REFUSED", `${text}; create it with \`logagent topics create t\``));
  await until(() => errors.length > 0);
  abort.abort();
  const ways = "create it with --create-topic PARTITIONS or `logagent topics create t`";
  expect(errors).toEqual([`${text}; ${ways}; trying again`]);
});
