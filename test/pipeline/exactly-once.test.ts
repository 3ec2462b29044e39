import { describe, expect, test } from "bun:test";
import { silentLog } from "../../src/observe/log.ts";
import { noMetrics } from "../../src/observe/metrics.ts";
import { Agent } from "../../src/pipeline/agent.ts";
import { ExactlyOnce } from "../../src/pipeline/delivery/exactly-once.ts";
import { highestMark, trueCheckpoint } from "../../src/pipeline/delivery/resolve-checkpoint.ts";
import { type Clock, systemClock } from "../../src/runtime.ts";
import { Journal } from "../../src/state/journal.ts";
import type { Header } from "../../src/state/types.ts";
import { Crash, MemoryFs } from "../state/memory-fs.ts";
import { configOf, input, numbers, text, until } from "./agent-parts.ts";
import { type Fault, MemoryKafka, MemoryTransactionalSink } from "./memory-kafka.ts";
import { MemoryFiles, MemoryTailer } from "./memory-tailer.ts";

/** Waits a thousandth of the time: nobody waits for backoff here. */
const fastClock: Clock = { ...systemClock, after: (ms, f) => systemClock.after(ms / 1000, f) };

interface World {
  kafka: MemoryKafka;
  files: MemoryFiles;
  disk: MemoryFs;
}

const world = (): World => ({ kafka: new MemoryKafka(), files: new MemoryFiles(), disk: new MemoryFs() });

function openJournal(disk: MemoryFs): Promise<Journal> {
  const header: Header = { agent: "a", machine: null, cluster: null, topics: {} };
  return Journal.open({ path: "/s.jsonl", fs: disk, clock: systemClock, log: silentLog, fallBack: false, header });
}

async function start(
  { kafka, files, disk }: World,
  recover: "repeat" | "skip" | null = null,
  clock: Clock = fastClock,
  { once = false, transactionInterval = 2 } = {},
) {
  const journal = await openJournal(disk);
  const sink = new MemoryTransactionalSink(kafka);
  const inputs = [input("i", ["a"]), input("j", ["b"], { topic: "u" })].map((one) => ({
    ...one,
    tail: { ...one.tail, once },
  }));
  const delivery = new ExactlyOnce({
    sink,
    coordinator: kafka.coordinator(),
    journal,
    clock,
    random: Math.random,
    log: silentLog,
    metrics: noMetrics,
    transactionBytes: 6,
    transactionInterval,
    recover,
    abort: new AbortController(),
  });
  const agent = new Agent({
    config: configOf(inputs, { drainTimeout: 500_000, timeout: 500_000, once }),
    journal,
    delivery,
    createTailer: (options) => new MemoryTailer(options, files),
    connect: async () => "cluster",
    createTopic: async () => {},
    host: "h",
    clock,
    random: Math.random,
    log: silentLog,
    metrics: noMetrics,
  });
  const said: string[] = [];
  const ended = agent
    .run()
    .finally(() => journal.close())
    .catch((error) => {
      said.push(error.message);
      return error.code ?? error;
    });
  return { agent, ended, journal, said };
}

describe("exactly once", () => {
  test("sends every line once and names the same checkpoint in Kafka and in the journal", async () => {
    const here = world();
    here.files.append("a", text(numbers("a", 0, 50)));
    const run = await start(here);
    await until(() => here.kafka.committed.length === 50);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(here.kafka.committed).toEqual(numbers("a", 0, 50));
    const journal = await openJournal(here.disk);
    expect(Number(here.kafka.offsets.get("t")?.offset)).toBe(journal.confirmed);
    expect(journal.pending).toEqual([]);
  });

  test("the last lines of --once do not wait for the interval", async () => {
    const here = world();
    here.files.append("a", "x\n");
    const run = await start(here, null, systemClock, { once: true, transactionInterval: 1_000_000 });
    expect(await run.ended).toBe(0);
    expect(here.kafka.committed).toEqual(["x"]);
  });

  test("every line once whatever request or answer is lost, late or fenced, whenever the agent is killed", async () => {
    for (let seed = 0; seed < 60; seed++) await lives(seed);
  }, 60_000);

  test("an agent that is fenced by another start of the same id stops and says so", async () => {
    const here = world();
    const run = await start(here);
    here.files.append("a", "x\n");
    await until(() => here.kafka.committed.length === 1);
    here.kafka.init();
    here.kafka.offsets.set("t", { topic: "t", partition: 0, offset: 99n, metadata: "somebody else" });
    here.files.append("a", "y\n");
    expect(await run.ended).toBe("FENCED");
    expect(here.kafka.committed).toEqual(["x"]);
  });

  test("a topic that is deleted holds up its own lines only, and no kill moves its positions", async () => {
    const here = world();
    let run = await start(here);
    const of = (name: string) => here.kafka.committed.filter((value) => value.startsWith(name));
    const write = (from: number, to: number) => {
      for (const name of ["a", "b"]) here.files.append(name, text(numbers(name, from, to)));
    };
    write(0, 20);
    await until(() => here.kafka.committed.length === 40);
    for (let round = 1; round <= 4; round++) {
      here.kafka.missing.add("u");
      const from = 20 * round;
      for (let i = 0; i < 20; i++) {
        write(from + i, from + i + 1);
        await until(() => of("a").length === from + i + 1);
      }
      expect(of("b").length).toBe(from);
      if (round % 2 === 0) {
        run.agent.stop();
        // What it could not send it says, and leaves to the next start.
        if (round === 2) {
          expect(await run.ended).toBe("BROKER_UNAVAILABLE");
          expect(run.said).toEqual([
            expect.stringMatching(/bytes wait for topic "u", which is missing; they will be sent/),
          ]);
        }
        here.disk = here.disk.killed();
        run = await start(here);
      }
      here.kafka.missing.delete("u");
      await until(() => of("b").length === from + 20);
    }
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(of("a")).toEqual(numbers("a", 0, 100));
    expect(of("b")).toEqual(numbers("b", 0, 100));
  });

  test("an offset commit whose answer is lost does not take effect in a later transaction", async () => {
    const here = world();
    let commits = 0;
    here.kafka.fault = (step) => {
      if (step === "end") here.kafka.arrive();
      return step === "commitOffsets" && ++commits % 3 === 2 ? "late" : "none";
    };
    const run = await start(here);
    for (let i = 0; i < 20; i++) {
      here.files.append("a", `${i}\n`);
      await until(() => here.kafka.committed.length === i + 1);
    }
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(commits).toBeGreaterThan(20);
    expect(here.kafka.wentBack).toBe(false);
  });

  test("an offset commit that hangs in the group is ended by a marker", async () => {
    const here = world();
    here.kafka.unstable = true;
    here.files.append("a", "x\n");
    const run = await start(here);
    await until(() => here.kafka.committed.length === 1);
    run.agent.stop();
    expect(await run.ended).toBe(0);
  });

  test("the number is committed again after twelve hours, with and without lines in between", async () => {
    const here = world();
    let skew = 0;
    const monotonic = () => systemClock.monotonic() + skew;
    const clock = { ...systemClock, monotonic, after: (ms: number, f: () => void) => systemClock.after(ms / 1e6, f) };
    const run = await start(here, null, clock);
    here.files.append("a", "x\n");
    await until(() => here.kafka.committed.length === 1);
    for (let i = 0; i < 3; i++) {
      const before = here.kafka.offsets.get("t")!.offset;
      skew += 12.1 * 3600_000;
      await until(() => here.kafka.offsets.get("t")!.offset > before);
    }
    here.files.append("a", "y\n");
    await until(() => here.kafka.committed.length === 2);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(here.kafka.committed).toEqual(["x", "y"]);
  });

  test("an agent that the coordinator's time-out fenced goes on and replays", async () => {
    const here = world();
    const run = await start(here);
    here.files.append("a", "x\n");
    await until(() => here.kafka.committed.length === 1);
    here.kafka.epoch++;
    here.files.append("a", "y\n");
    await until(() => here.kafka.committed.length === 2);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(here.kafka.committed).toEqual(["x", "y"]);
  });

  test("nothing is committed while the state cannot be written, everything once afterwards", async () => {
    const here = world();
    const run = await start(here);
    here.files.append("a", text(numbers("a", 0, 5)));
    await until(() => here.kafka.committed.length === 5);
    let refused = 0;
    here.disk.before = (operation) => {
      if (!operation.startsWith("write")) return;
      refused++;
      throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    };
    here.files.append("a", text(numbers("a", 5, 20)));
    await until(() => refused > 3);
    expect(here.kafka.committed.length).toBe(5);
    here.disk.before = () => {};
    await until(() => here.kafka.committed.length === 20);
    run.agent.stop();
    expect(await run.ended).toBe(0);
    expect(here.kafka.committed).toEqual(numbers("a", 0, 20));
  });

  test("a state restored from before, another's and a lost offset are refused, and recovered when asked to", async () => {
    const here = world();
    here.files.append("a", text(numbers("a", 0, 20)));
    const first = await start(here);
    await until(() => here.kafka.committed.length === 20);
    first.agent.stop();
    await first.ended;
    const backup = here.disk.killed();
    here.files.append("a", text(numbers("a", 20, 40)));
    const second = await start(here);
    await until(() => here.kafka.committed.length === 40);
    second.agent.stop();
    await second.ended;
    for (const disk of [backup, new MemoryFs()]) {
      for (let i = 0; i < 5; i++) {
        const refused = await start({ ...here, disk: disk.killed() });
        expect(await refused.ended).toBe("STATE_MISMATCH");
      }
    }
    expect(here.kafka.committed.length).toBe(40);
    const recovered = await start({ ...here, disk: backup }, "repeat");
    await until(() => here.kafka.committed.length === 60);
    recovered.agent.stop();
    expect(await recovered.ended).toBe(0);
    expect(here.kafka.committed.slice(40)).toEqual(numbers("a", 20, 40));
  });
});

test("of several topics' offsets the highest counts", () => {
  const offset = (topic: string, n: number, metadata: string | null) => ({
    topic,
    partition: 0,
    offset: BigInt(n),
    metadata,
  });
  expect(highestMark([offset("a", 3, "x"), offset("b", 12, "y"), offset("c", -1, null)])).toEqual({
    n: 12,
    nonce: "y",
  });
  expect(highestMark([offset("c", -1, null)])).toBeNull();
  expect(highestMark([])).toBeNull();
});

describe("the true checkpoint", () => {
  const journal = (confirmed: number, pending: number[], nonces = ["me"]) => ({
    confirmed,
    pending: pending.map((n) => ({ n, base: confirmed, files: [] })),
    highest: Math.max(confirmed, ...pending),
    header: { agent: "a", machine: null, cluster: null, topics: {}, nonces },
    path: "/s",
  });
  const mark = (n: number, nonce = "me") => ({ n, nonce });

  test.each([
    ["a fresh state without an offset", journal(0, [], []), null, null, 0],
    ["an expired offset with nothing in doubt", journal(7, []), null, null, 7],
    ["a committed transaction", journal(7, [8]), mark(8), null, 8],
    ["an aborted transaction", journal(7, [8]), mark(7), null, 7],
    ["one aborted and one committed", journal(7, [8, 9]), mark(9), null, 9],
    ["checkpoints that were true by themselves", journal(9, []), mark(7), null, 9],
    ["a lost offset, repeat", journal(7, [8]), null, "repeat", 7],
    ["a lost offset, skip", journal(7, [8]), null, "skip", 8],
    ["a restored state, repeat", journal(7, []), mark(12), "repeat", 7],
  ] as const)("%s", (_, state, mark, recover, expected) => {
    expect(trueCheckpoint(state, mark, recover)).toBe(expected);
  });

  test.each([
    ["a lost offset with a transaction in doubt", journal(7, [8]), null, null],
    ["a restored state", journal(7, []), mark(12), null],
    ["a restored state, skip", journal(7, []), mark(12), "skip"],
    ["a lost state", journal(0, [], []), mark(12), null],
    ["a number somebody else wrote", journal(12, [13], ["me"]), mark(13, "other"), null],
    ["a number the journal lacks", journal(7, [9]), mark(8), null],
  ] as const)("%s is refused", (_, state, mark, recover) => {
    expect(() => trueCheckpoint(state, mark, recover)).toThrow(
      expect.objectContaining({ code: "STATE_MISMATCH", message: expect.stringContaining("--recover repeat") }),
    );
  });
});

/** Several lives of an agent under faults, each ended by a kill; then a quiet one. */
async function lives(seed: number): Promise<void> {
  const here = world();
  let state = seed * 2654435761 + 1;
  const chance = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  let faults = 0;
  here.kafka.fault = () => {
    const roll = chance();
    if (roll < 0.1) here.kafka.arrive();
    if (roll > 0.97) here.kafka.expire();
    if (roll > 0.95) here.kafka.missing.add("u");
    else if (roll > 0.9) here.kafka.missing.delete("u");
    if (roll < 0.85) return "none";
    faults++;
    return (["request-lost", "answer-lost", "late"] as const)[Math.floor(chance() * 3)] as Fault;
  };
  let written = 0;
  const write = () => {
    for (const name of ["a", "b"]) here.files.append(name, text(numbers(name, written, written + 5)));
    written += 5;
  };
  for (let life = 0; life < 6; life++) {
    // The kill: from some operation on the journal or request on, nothing of this life takes effect any more.
    const run = await start(here);
    const quiet = here.kafka.fault;
    let left = 10 + Math.floor(chance() * 60);
    let dead = false;
    const die = () => {
      if (dead) throw new Crash("dead");
      if (--left <= 0) {
        dead = true;
        throw new Crash("killed");
      }
    };
    here.disk.before = die;
    here.kafka.fault = (step) => {
      die();
      const fault = quiet(step);
      if (fault === "answer-lost") left = Math.min(left, 1 + Math.floor(chance() * 20));
      return fault;
    };
    const init = here.kafka.init;
    here.kafka.init = () => {
      die();
      return init.call(here.kafka);
    };
    for (let i = 0; i < 40 && !dead; i++) {
      write();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    run.agent.stop();
    await Promise.race([run.ended, new Promise((resolve) => setTimeout(resolve, 30))]);
    here.kafka.init = init;
    here.kafka.fault = quiet;
    // The dead agent's last requests may arrive before or after the next start.
    if (chance() < 0.5) here.kafka.arrive();
    here.disk = chance() < 0.5 ? here.disk.killed() : here.disk.powerCut(Math.floor(chance() * 100));
  }
  here.kafka.fault = () => "none";
  here.kafka.missing.clear();
  const last = await start(here);
  here.kafka.arrive();
  await until(() => here.kafka.committed.length >= 2 * written);
  last.agent.stop();
  expect(await last.ended).toBe(0);
  for (const name of ["a", "b"]) {
    const values = here.kafka.committed.filter((value) => value.startsWith(name));
    if (values.join() !== numbers(name, 0, written).join()) throw new Error(`seed ${seed}: ${values}`);
  }
  expect(faults).toBeGreaterThan(0);
  expect(here.kafka.wentBack).toBe(false);
}
