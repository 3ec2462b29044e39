import { describe, expect, test } from "bun:test";
import { LogagentError } from "../../src/errors.ts";
import { silentLog } from "../../src/observe/log.ts";
import { Topics } from "../../src/pipeline/topics.ts";
import { systemClock } from "../../src/runtime.ts";
import { ManualClock } from "../support/manual-clock.ts";
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

describe("a topic that was deleted", () => {
  const how = { partitions: 4, replication: 1 };

  /** Inputs that wait for topic `t`; the topics that were created, and how often that was tried. */
  async function running(createTopics: readonly (typeof how | null)[]) {
    const sink = new MemorySink();
    const clock = new ManualClock();
    const abort = new AbortController();
    const created: string[] = [];
    let failures = 0;
    const topics = new Topics({
      sink,
      clock,
      random: () => 0.5,
      log: silentLog,
      create: async (topic) => {
        created.push(topic);
        if (failures-- > 0) throw new LogagentError("BROKER_UNAVAILABLE", "creating the topic: no broker");
      },
      connected: Promise.resolve(),
      signal: abort.signal,
      impatient: false,
    });
    const wait = (n: number, createTopic: typeof how | null) => topics.wait(input(`i${n}`, ["a"], { createTopic }));
    for (const [n, createTopic] of createTopics.entries()) await wait(n, createTopic);
    created.length = 0;
    const pass = async (ms: number) => {
      clock.advance(ms);
      await settle();
    };
    const fail = (times: number) => {
      failures = times;
    };
    return { sink, created, pass, abort, wait, fail };
  }

  test("is created again after a while, once at a time, and again after a failure", async () => {
    const { sink, created, pass, fail } = await running([null, how]);
    fail(1);
    for (let i = 0; i < 3; i++) sink.tellMissing("t");
    await pass(2000);
    expect(created).toEqual([]);
    await pass(3000);
    expect(created).toEqual(["t"]);
    await pass(4000);
    expect(created).toEqual(["t"]);
    await pass(6000);
    expect(created).toEqual(["t", "t"]);
    await pass(600_000);
    expect(created).toEqual(["t", "t"]);
    sink.tellMissing("t");
    await pass(5000);
    expect(created).toEqual(["t", "t", "t"]);
  });

  test("is left alone where nobody asked for its creation, or does no more, or the agent stops", async () => {
    const unasked = await running([null]);
    unasked.sink.tellMissing("t");
    await unasked.pass(600_000);
    expect(unasked.created).toEqual([]);
    const changed = await running([how]);
    changed.sink.tellMissing("t");
    await changed.wait(0, null);
    await changed.pass(600_000);
    expect(changed.created).toEqual([]);
    const stopping = await running([how]);
    stopping.sink.tellMissing("t");
    stopping.abort.abort();
    await stopping.pass(600_000);
    expect(stopping.created).toEqual([]);
  });
});
