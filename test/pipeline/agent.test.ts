import { describe, expect, test } from "bun:test";
import type { AgentConfig } from "../../src/config/types.ts";
import { silentLog } from "../../src/observe/log.ts";
import { noMetrics } from "../../src/observe/metrics.ts";
import { Agent } from "../../src/pipeline/agent.ts";
import { AtLeastOnce } from "../../src/pipeline/delivery/at-least-once.ts";
import { systemClock } from "../../src/runtime.ts";
import { Journal } from "../../src/state/journal.ts";
import { MemoryFs } from "../state/memory-fs.ts";
import { configOf, input, numbers, text, until } from "./agent-parts.ts";
import { MemorySink } from "./memory-sink.ts";
import { MemoryFiles, MemoryTailer } from "./memory-tailer.ts";

const path = "/state.jsonl";

/** A running agent over memory. */
async function start(config: AgentConfig, disk = new MemoryFs(), files = new MemoryFiles(), sink = new MemorySink()) {
  const header = { agent: "a", machine: null, cluster: null, topics: {} };
  const journal = await Journal.open({ path, fs: disk, clock: systemClock, log: silentLog, fallBack: true, header });
  const delivery = new AtLeastOnce({
    sink,
    journal,
    clock: systemClock,
    log: silentLog,
    metrics: noMetrics,
    interval: 5,
  });
  const tailers: MemoryTailer[] = [];
  const agent = new Agent({
    config,
    journal,
    delivery,
    createTailer(options) {
      const tailer = new MemoryTailer(options, files);
      tailers.push(tailer);
      return tailer;
    },
    connect: async () => "cluster",
    createTopic: async () => {},
    host: "h",
    clock: systemClock,
    random: () => 0,
    log: silentLog,
    metrics: noMetrics,
  });
  const ended = agent.run().then(
    (code) => code,
    (error) => error.code ?? error,
  );
  return { agent, ended, journal, sink, files, disk, tailers };
}

async function positionsOnDisk(disk: MemoryFs): Promise<Record<string, number>> {
  const header = { agent: "a", machine: null, cluster: null, topics: {} };
  const options = { path, fs: disk.killed(), clock: systemClock, log: silentLog, fallBack: false, header };
  const journal = await Journal.open(options);
  return Object.fromEntries([...journal.state.values()].map(({ path, position }) => [path, position]));
}

describe("at least once", () => {
  test("sends every line in order and holds the positions on disk after a clean stop", async () => {
    const run = await start(configOf([input("i", ["a", "b"])]));
    run.sink.automatic = true;
    run.files.append("a", text(numbers("a", 0, 50)));
    run.files.append("b", text(numbers("b", 0, 20)));
    await until(() => run.sink.acked.length === 70);
    run.files.append("a", text(numbers("a", 50, 60)));
    await until(() => run.sink.acked.length === 80);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(run.sink.acked.filter((value) => value.startsWith("a"))).toEqual(numbers("a", 0, 60));
    const sizes = Object.fromEntries([...run.files.texts].map(([name, { length }]) => [name, length]));
    expect(await positionsOnDisk(run.disk)).toEqual(sizes);
  });

  test("after a kill at any moment no line is missing and only unacknowledged or unwritten ones are repeated", async () => {
    const disk = new MemoryFs();
    const files = new MemoryFiles();
    const all = numbers("x", 0, 400);
    files.append("a", text(all));
    const first = await start(configOf([input("i", ["a"])]), disk, files);
    let seed = 7;
    first.sink.choose = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % 3;
    };
    const kills: { disk: MemoryFs; acked: string[] }[] = [];
    for (let i = 0; i < 60; i++) {
      await until(() => first.sink.closed.length > 5);
      first.sink.settle(first.sink.choose() % first.sink.closed.length);
      await new Promise((resolve) => setTimeout(resolve, 2));
      kills.push({ disk: disk.killed(), acked: [...first.sink.acked] });
    }
    first.agent.stop();
    await first.ended;
    let moved = 0;
    for (const { disk: left, acked } of kills) {
      const position = (await positionsOnDisk(left)).a ?? 0;
      moved = Math.max(moved, position);
      const lines = text(all).slice(0, position).split("\n").length - 1;
      // Everything the state says is done was acknowledged.
      expect(acked).toEqual(expect.arrayContaining(all.slice(0, lines)));
    }
    expect(moved).toBeGreaterThan(100);
    const again = await start(configOf([input("i", ["a"])]), kills.at(-1)!.disk, files);
    again.sink.automatic = true;
    await until(() => again.sink.acked.at(-1) === "x399");
    expect(new Set([...kills.at(-1)!.acked, ...again.sink.acked])).toEqual(new Set(all));
    again.agent.stop();
    expect(await again.ended).toBe(0);
  });

  test("a stop while nothing is acknowledged ends with 69 and the positions of the last acknowledgement", async () => {
    const run = await start(configOf([input("i", ["a"])], { drainTimeout: 50 }));
    run.files.append("a", text(numbers("a", 0, 12)));
    await until(() => run.sink.closed.length === 4);
    run.sink.settle(0);
    run.sink.settle(1);
    run.agent.stop();
    expect(await run.ended).toBe("BROKER_UNAVAILABLE");
    expect((await positionsOnDisk(run.disk)).a).toBe(text(numbers("a", 0, 3)).length);
  });

  test("once ends by itself when everything is acknowledged, and with 69 when nothing moves", async () => {
    const once = input("i", ["a"]);
    const files = new MemoryFiles();
    files.append("a", text(numbers("a", 0, 30)));
    const config = configOf([{ ...once, tail: { ...once.tail, once: true } }], { once: true, timeout: 100 });
    const stuck = await start(config, new MemoryFs(), files);
    expect(await stuck.ended).toBe("BROKER_UNAVAILABLE");
    const sink = new MemorySink();
    sink.automatic = true;
    const done = await start(config, new MemoryFs(), files, sink);
    expect(await done.ended).toBe(0);
    expect(sink.acked).toEqual(numbers("a", 0, 30));
  });

  test("nothing is read while the sink has no room", async () => {
    const run = await start(configOf([input("i", ["a"])]));
    run.sink.room = false;
    run.files.append("a", text(numbers("a", 0, 30)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(run.sink.buffered).toBe(0);
    run.sink.automatic = true;
    run.sink.setRoom(true);
    await until(() => run.sink.acked.length === 30);
    run.agent.stop();
    expect(await run.ended).toBe(0);
  });

  test("goes on while the state cannot be written and writes it once there is space again", async () => {
    const run = await start(configOf([input("i", ["a"])]));
    run.sink.automatic = true;
    run.files.append("a", text(numbers("a", 0, 10)));
    await until(() => run.sink.acked.length === 10);
    let refused = 0;
    run.disk.before = (operation) => {
      if (!operation.startsWith("write")) return;
      refused++;
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    };
    run.files.append("a", text(numbers("a", 10, 30)));
    await until(() => run.sink.acked.length === 30);
    const soFar = refused;
    await until(() => refused > soFar + 1);
    run.disk.before = () => {};
    await until(() => run.journal.state.values().next().value?.position === run.files.texts.get("a")!.length);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(run.sink.acked).toEqual(numbers("a", 0, 30));
  });

  test("ends with the state's error after a failed fsync", async () => {
    const run = await start(configOf([input("i", ["a"])]));
    run.sink.automatic = true;
    await until(() => run.journal.confirmed > 0);
    run.disk.before = (operation) => {
      if (operation.startsWith("sync")) throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    run.files.append("a", "x\n");
    expect(await run.ended).toBe("STATE_IO");
  });
});

describe("inputs", () => {
  test("one that crashes is started again where it was; the others go on", async () => {
    const run = await start(configOf([input("i", ["a"]), input("j", ["b"])]));
    run.files.append("a", text(numbers("a", 0, 20)));
    run.files.append("b", text(numbers("b", 0, 20)));
    await until(() => run.sink.closed.length > 8);
    run.tailers[0]!.bomb = new Error("a bug");
    run.files.append("a", text(numbers("a", 20, 40)));
    run.files.append("b", text(numbers("b", 20, 40)));
    await until(() => run.sink.closed.flatMap((batch) => batch.values).includes("b36"));
    run.sink.automatic = true;
    run.sink.settleAll();
    await until(() => run.sink.acked.length === 80);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(run.sink.acked.filter((value) => value.startsWith("a"))).toEqual(numbers("a", 0, 40));
    expect(run.sink.acked.filter((value) => value.startsWith("b"))).toEqual(numbers("b", 0, 40));
    expect(run.tailers.length).toBe(3);
  });

  test("are added, changed and removed while the others go on; nothing is lost or repeated", async () => {
    const run = await start(configOf([input("i", ["a"]), input("j", ["b"]), input("k", ["c"])]));
    run.sink.automatic = true;
    const sent: Record<string, number> = { a: 0, b: 0, c: 0, d: 0 };
    const write = (name: string) => {
      run.files.append(name, text(numbers(name, sent[name]!, sent[name]! + 7)));
      sent[name]! += 7;
    };
    const configs = [
      [input("i", ["a"]), input("j", ["b"], { key: "{path}" }), input("k", ["c"])],
      [input("i", ["a"]), input("j", ["b"])],
      [input("i", ["a"]), input("j", ["b"]), input("k", ["c"]), input("l", ["d"])],
      [input("i", ["a"]), input("l", ["d"])],
      [input("i", ["a"]), input("j", ["b"]), input("k", ["c"]), input("l", ["d"])],
    ];
    for (const inputs of configs) {
      for (const name of ["a", "b", "c", "d"]) write(name);
      await run.agent.reload(configOf(inputs));
      for (const name of ["a", "b", "c", "d"]) write(name);
    }
    const total = Object.values(sent).reduce((a, b) => a + b);
    await until(() => run.sink.acked.length >= total);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    for (const name of ["a", "b", "c", "d"]) {
      expect(run.sink.acked.filter((value) => value.startsWith(name))).toEqual(numbers(name, 0, sent[name]!));
    }
    expect(run.tailers.filter((tailer) => tailer.file !== undefined).length).toBe(run.tailers.length);
  });

  test("a reload that sends an input to another topic is refused", async () => {
    const run = await start(configOf([input("i", ["a"], { topic: "v" })]));
    // Nothing was acknowledged, so nothing is bound.
    await run.agent.reload(configOf([input("i", ["a"])]));
    run.sink.automatic = true;
    run.files.append("a", "x\n");
    await until(() => run.journal.header.topics.i === "t");
    expect(run.journal.header.cluster).toBe("cluster");
    const refused = await run.agent.reload(configOf([input("i", ["a"], { topic: "u" })])).catch((error) => error.code);
    expect(refused).toBe("STATE_MISMATCH");
    run.agent.stop();
    expect(await run.ended).toBe(0);
  });
});
