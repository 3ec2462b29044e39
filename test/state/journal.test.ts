import { describe, expect, test } from "bun:test";
import type { LogagentError } from "../../src/errors.ts";
import { silentLog } from "../../src/observe/log.ts";
import { systemClock } from "../../src/runtime.ts";
import { Journal } from "../../src/state/journal.ts";
import { stateAt } from "../../src/state/replay.ts";
import type { Checkpoint, FileState } from "../../src/state/types.ts";
import { Crash, MemoryFs } from "./memory-fs.ts";

const path = "/state/state.jsonl";

function open(fs: MemoryFs, options: { fallBack?: boolean; compactAfter?: number } = {}): Promise<Journal> {
  const header = { agent: "a", machine: null, cluster: null, topics: {} };
  return Journal.open({ path, fs, clock: systemClock, log: silentLog, fallBack: true, header, ...options });
}

function file(key: string, position: number): FileState {
  const fingerprint = { from: 0, length: 0, hash: "" };
  return {
    key,
    input: "i",
    path: `/${key}`,
    dev: 1,
    ino: "2",
    birth: "3",
    position,
    line: 1,
    fingerprint,
    marker: null,
    seen: 0,
  };
}

/** Appends `count` confirmed checkpoints that move file "f" by 10 each. */
async function fill(journal: Journal, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const n = journal.nextNumber();
    await journal.append({ n, base: journal.confirmed, confirmed: true, files: [file("f", n * 10)] });
  }
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => "none",
    (error: LogagentError) => error.code,
  );

describe("the journal", () => {
  test("gives back what was appended, changed and removed", async () => {
    const fs = new MemoryFs();
    const journal = await open(fs);
    await journal.append({ n: 1, base: 0, confirmed: true, files: [file("a", 1), file("b", 2)] });
    await journal.append({ n: 2, base: 1, confirmed: true, files: [file("b", 5)], removed: ["a"] });
    await journal.updateHeader({ cluster: "c", topics: { i: "t" } });
    await journal.close();
    const again = await open(fs);
    expect([...again.state.values()]).toEqual([file("b", 5)]);
    expect([again.confirmed, again.highest, again.header.cluster, again.header.topics]).toEqual([
      2,
      2,
      "c",
      { i: "t" },
    ]);
  });

  test("cut at every byte loses only the cut line", async () => {
    const fs = new MemoryFs();
    const journal = await open(fs);
    await fill(journal, 4);
    const text = fs.text(path)!;
    const ends = [...text.matchAll(/\n/g)].map((match) => match.index + 1);
    for (let cut = ends[0]!; cut <= text.length; cut++) {
      for (const tail of ["", "\0".repeat(50)]) {
        const disk = new MemoryFs();
        disk.put(path, text.slice(0, cut) + tail);
        const again = await open(disk, { fallBack: false });
        const whole = ends.filter((end) => end <= cut).length - 1;
        expect(again.confirmed).toBe(whole);
        expect(again.state.get("f")?.position).toBe(whole === 0 ? undefined : whole * 10);
        // A number that may have been on its way is not given out again.
        expect(again.nextNumber()).toBeGreaterThan(tail !== "" || !ends.includes(cut) ? whole + 1 : whole);
        await fill(again, 1);
        const third = await open(disk, { fallBack: false });
        expect(third.confirmed).toBe(again.confirmed);
        expect(third.confirmed).toBeGreaterThan(whole);
      }
    }
  });

  test("with a damaged middle is not read, not overwritten, and kept when an older state is gone on from", async () => {
    const fs = new MemoryFs();
    await fill(await open(fs), 4);
    const text = fs.text(path)!;
    for (let at = 0; at < text.lastIndexOf("\n", text.length - 2); at += 7) {
      if (text[at] === "\n") continue;
      const damaged = `${text.slice(0, at)}#${text.slice(at + 1)}`;
      const disk = new MemoryFs();
      disk.put(path, damaged);
      expect(await code(open(disk, { fallBack: false }))).toBe("STATE_DAMAGED");
      expect(disk.text(path)).toBe(damaged);
      const line = text.slice(0, at).split("\n").length;
      if (line < 3) {
        expect(await code(open(disk))).toBe("STATE_DAMAGED");
        expect(disk.text(path)).toBe(damaged);
      } else {
        const older = await open(disk);
        expect(older.state.get("f")?.position).toBe((line - 2) * 10);
        expect(older.nextNumber()).toBeGreaterThan(4);
        const kept = [...disk.names].filter(([name]) => name.includes(".damaged-")).map(([, node]) => `${node.data}`);
        expect(kept).toEqual([damaged]);
      }
    }
  });

  test.each([
    ["empty", ""],
    ["one page of NULs", "\0".repeat(4096)],
    ["something else", "hello\n"],
  ])("%s (beats#3537, #4733) goes on from the previous generation", async (_, bytes) => {
    const fs = new MemoryFs();
    await fill(await open(fs), 3);
    const previous = fs.text(path)!;
    const disk = new MemoryFs();
    disk.put(path, bytes);
    expect(await code(open(disk))).toBe("STATE_DAMAGED");
    disk.put(`${path}.1`, previous);
    expect(await code(open(disk, { fallBack: false }))).toBe("STATE_DAMAGED");
    expect(disk.text(path)).toBe(bytes);
    expect((await open(disk)).state.get("f")?.position).toBe(30);
  });

  test("of another version is refused", async () => {
    const fs = new MemoryFs();
    await fill(await open(fs), 1);
    const { crc32 } = await import("node:zlib");
    const body = '{"logagent":2,"agent":"a"}';
    const header = `${body.slice(0, -1)},"crc":"${crc32(body).toString(16).padStart(8, "0")}"}\n`;
    fs.put(path, header + fs.text(path)!.split("\n").slice(1).join("\n"));
    const error = await open(fs).catch((error) => error);
    expect(error.code).toBe("STATE_DAMAGED");
    expect(error.message).toContain("version 2");
  });

  test("crashed or cut from power before any operation holds the last or the next checkpoint", async () => {
    const total = (await run(new MemoryFs())).fs.operations.length;
    expect(total).toBeGreaterThan(60);
    for (let at = 0; at <= total; at++) {
      const { fs, durable, tried } = await run(new MemoryFs(), at);
      for (const disk of [fs.killed(), fs.powerCut(), fs.powerCut(20), fs.powerCut(1e6)]) {
        if (disk.names.get(path) === undefined) {
          expect(durable).toBe(0);
          continue;
        }
        const again = await open(disk, { fallBack: false });
        expect(again.confirmed).toBeGreaterThanOrEqual(durable);
        expect(again.confirmed).toBeLessThanOrEqual(tried);
        expect(again.state.get("f")?.position ?? 0).toBe(again.confirmed * 10);
      }
    }
  });

  test("compacts: writes, syncs, renames, syncs the directory, in this order, and stays small", async () => {
    const { fs } = await run(new MemoryFs());
    const { operations } = fs;
    const rename = operations.lastIndexOf(`rename ${path}.new ${path}`);
    expect(operations.slice(rename - 5, rename + 2)).toEqual([
      `open ${path}.new`,
      `write ${path}.new`,
      `sync ${path}.new`,
      `unlink ${path}.1`,
      `link ${path} ${path}.1`,
      `rename ${path}.new ${path}`,
      "syncDirectory /state",
    ]);
    expect(fs.text(path)!.length).toBeLessThan(5000);
    expect((await open(fs)).confirmed).toBe(30);
  });

  test("keeps unconfirmed checkpoints over a compaction and tells the state at each", async () => {
    const fs = new MemoryFs();
    const journal = await open(fs, { compactAfter: 300 });
    await fill(journal, 3);
    await journal.append({ n: 4, base: 3, files: [file("f", 400)] });
    await journal.append({ n: 5, base: 3, files: [file("g", 7)] });
    await journal.append({ n: 6, base: 5, files: [file("f", 600)] });
    for (const disk of [fs, fs.powerCut()]) {
      const again = await open(disk, { fallBack: false });
      expect(again.confirmed).toBe(3);
      expect(again.pending.map(({ n }) => n)).toEqual([4, 5, 6]);
      const positions = (n: number) => [...(stateOf(again, n) ?? [])].map(([key, { position }]) => [key, position]);
      expect(positions(3)).toEqual([["f", 30]]);
      expect(positions(4)).toEqual([["f", 400]]);
      expect(positions(6)).toEqual([
        ["f", 600],
        ["g", 7],
      ]);
      expect(stateOf(again, 9)).toBeNull();
    }
    journal.confirm(6);
    expect(journal.state.get("f")?.position).toBe(600);
    await journal.close();
    expect((await open(fs)).confirmed).toBe(6);
  });

  test("goes on after a write that failed, with nothing lost", async () => {
    const fs = new MemoryFs();
    const journal = await open(fs);
    await fill(journal, 2);
    fs.before = (operation) => {
      if (operation.startsWith("write")) throw Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
    };
    expect(await code(fill(journal, 1))).toBe("STATE_IO");
    expect(journal.broken).toBe(false);
    fs.before = () => {};
    await fill(journal, 1);
    expect((await open(fs)).state.get("f")?.position).toBe(40);
  });

  test("promises nothing any more after an fsync failed", async () => {
    const fs = new MemoryFs();
    const journal = await open(fs);
    await fill(journal, 2);
    fs.before = (operation) => {
      if (operation.startsWith("sync")) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    };
    expect(await code(fill(journal, 1))).toBe("STATE_IO");
    fs.before = () => {};
    expect(journal.broken).toBe(true);
    expect(await code(fill(journal, 1))).toBe("STATE_IO");
    expect((await open(fs.powerCut())).confirmed).toBe(2);
  });
});

/** Thirty checkpoints over several compactions, with a crash before operation `crashAt`. */
async function run(fs: MemoryFs, crashAt = Number.POSITIVE_INFINITY) {
  let left = crashAt;
  fs.before = () => {
    if (left-- <= 0) throw new Crash("crash");
  };
  let durable = 0;
  let tried = 0;
  try {
    const journal = await open(fs, { compactAfter: 400 });
    while (tried < 30) {
      tried++;
      await fill(journal, 1);
      durable = tried;
    }
  } catch (error) {
    if (!(error instanceof Crash) && !((error as Error).cause instanceof Crash)) throw error;
  }
  fs.before = () => {};
  return { fs, durable, tried };
}

/** The state at checkpoint `n` of a journal's confirmed state and what was written behind it; null if it lacks it. */
function stateOf(journal: Journal, n: number): Map<string, FileState> | null {
  if (n === journal.confirmed) return new Map(journal.state);
  const whole: Checkpoint = { n: journal.confirmed, base: 0, full: true, files: [...journal.state.values()] };
  return stateAt([whole, ...journal.pending], n);
}
