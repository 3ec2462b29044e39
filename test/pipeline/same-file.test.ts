/** One file that several inputs match: in one topic its lines come once, whatever is renamed, restarted or taken away. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { InputConfig } from "../../src/config/types.ts";
import type { Log } from "../../src/observe/log.ts";
import { silentLog } from "../../src/observe/log.ts";
import { noMetrics } from "../../src/observe/metrics.ts";
import { Agent } from "../../src/pipeline/agent.ts";
import { AtLeastOnce } from "../../src/pipeline/delivery/at-least-once.ts";
import { systemClock } from "../../src/runtime.ts";
import { Journal } from "../../src/state/journal.ts";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import { createTailer } from "../../src/tail/tailer.ts";
import { MemoryFs } from "../state/memory-fs.ts";
import { tempDir } from "../support/temp.ts";
import { defaults } from "../tail/follower.ts";
import { configOf, until } from "./agent-parts.ts";
import { MemorySink } from "./memory-sink.ts";

let dir = "";
let said: string[] = [];
beforeEach(() => {
  dir = tempDir("same");
  said = [];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const log: Log = { ...silentLog, warn: (message, fields) => said.push(`${message} ${JSON.stringify(fields ?? {})}`) };
const path = (name: string) => join(dir, name);

function input(name: string, globs: string[], topic = "t"): InputConfig {
  const tail = { ...defaults, input: name, paths: globs.map(path), from: "beginning" as const };
  return { name, topic, partitioner: 0, key: null, headers: [], format: "raw", createTopic: null, tail };
}

/** An agent with real files and a sink in memory. */
async function start(inputs: InputConfig[], disk = new MemoryFs()) {
  const header = { agent: "a", machine: null, cluster: null, topics: {} };
  const journal = await Journal.open({ path: "/s", fs: disk, clock: systemClock, log, fallBack: true, header });
  const sink = new MemorySink();
  sink.automatic = true;
  const common = { journal, clock: systemClock, log, metrics: noMetrics };
  const agent = new Agent({
    ...common,
    config: configOf(inputs),
    delivery: new AtLeastOnce({ ...common, sink, interval: 5 }),
    createTailer: (options, claims) =>
      createTailer(options, { fs: nodeFs, clock: systemClock, random: Math.random, ...(claims ? { claims } : {}) }),
    connect: async () => "cluster",
    createTopic: async () => {},
    host: "h",
    random: () => 0,
  });
  const ended = agent.run();
  const stop = async () => {
    agent.stop();
    await ended;
    await journal.close();
  };
  const got = () => [...sink.acked].sort();
  return { agent, disk, got, stop };
}

/** Waits until a line that is written now has come, so that others could have. */
async function came(got: () => string[], file: string, line: string): Promise<void> {
  appendFileSync(path(file), `${line}\n`);
  await until(() => got().includes(line));
}

test("two globs, a hard link and a path written in two ways: each line once, and it is said", async () => {
  writeFileSync(path("a.txt"), "one\n");
  linkSync(path("a.txt"), path("b.txt"));
  const run = await start([
    input("first", ["*.txt"]),
    input("second", ["a.*"]),
    input("third", [`../${dir.slice(dir.lastIndexOf("/") + 1)}/b.txt`]),
  ]);
  await until(() => run.got().length >= 1);
  await came(run.got, "a.txt", "two");
  await run.stop();
  const again = await start([input("first", ["*.txt"]), input("second", ["a.*"]), input("third", ["b.txt"])], run.disk);
  await came(again.got, "b.txt", "three");
  await again.stop();
  expect([...run.got(), ...again.got()]).toEqual(["one", "two", "three"]);
  expect(said.filter((text) => text.includes("the input first follows it"))).toHaveLength(4);
});

test("a file that moves from the pattern of one input into that of another comes once, and new lines too", async () => {
  mkdirSync(path("old"));
  writeFileSync(path("app.log"), "one\n");
  const inputs = [input("archive", ["old/*"]), input("app", ["app.log"])];
  const run = await start(inputs);
  await until(() => run.got().length === 1);
  renameSync(path("app.log"), path("old/app.log.1"));
  appendFileSync(path("old/app.log.1"), "two\n");
  writeFileSync(path("app.log"), "three\n");
  await until(() => run.got().length === 3);
  // The walk of the other input has met it by the time it has met a later one.
  writeFileSync(path("old/other"), "four\n");
  await until(() => run.got().includes("four"));
  await came(run.got, "old/app.log.1", "five");
  await run.stop();
  const again = await start(inputs, run.disk);
  await came(again.got, "app.log", "six");
  await came(again.got, "old/other", "seven");
  await again.stop();
  expect([...run.got(), ...again.got()]).toEqual(["five", "four", "one", "three", "two", "seven", "six"]);
});

test("what an input had that is taken away goes on with the other one, where it ended", async () => {
  writeFileSync(path("a.txt"), "one\n");
  const run = await start([input("first", ["*.txt"]), input("second", ["a.*"])]);
  await until(() => run.got().length === 1);
  await run.agent.reload(configOf([input("second", ["a.*"])]));
  await came(run.got, "a.txt", "two");
  await run.stop();
  expect(run.got()).toEqual(["one", "two"]);
});

test("inputs of two topics both follow it; that is said", async () => {
  writeFileSync(path("a.txt"), "one\n");
  const run = await start([input("first", ["*.txt"]), input("second", ["a.*"], "u")]);
  await until(() => run.got().length === 2);
  await run.stop();
  expect(run.got()).toEqual(["one", "one"]);
  expect(said.filter((text) => text.includes("each sends their lines to its own topic"))).toHaveLength(1);
});
