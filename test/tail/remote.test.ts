/** Files on a server that may be away: whatever call hangs, the other files go on. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  constants,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/runtime.ts";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { CallThreads } from "../../src/tail/fs/io-threads.ts";
import { Follower } from "./follower.ts";

let dir: string;
let follower: Follower | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-remote-"));
  mkdirSync(join(dir, "nfs"));
});
afterEach(() => {
  follower?.tailer.close();
  follower = null;
  rmSync(dir, { recursive: true, force: true });
});

type Later = "statLater" | "openLater" | "readLater";

/** A network file system on which one call for one path hangs while `hanging`; it must never be asked without waiting. */
function remote(path: string, call: Later) {
  const state = { hanging: true, hung: 0, release: () => {} };
  const released = new Promise<void>((resolve) => {
    state.release = () => {
      state.hanging = false;
      resolve();
    };
  });
  const wait = async (wanted: Later, name: string) => {
    if (!state.hanging || wanted !== call || name !== path) return;
    state.hung++;
    await released;
  };
  const forbidden = (name: string) => {
    if (state.hanging && (name === path || name === join(dir, "nfs")))
      throw new Error(`${name} was asked for without waiting`);
  };
  const fs: Fs = {
    ...nodeFs,
    // As of a mount: of the directory it is on only what lies in it is on the server.
    traits: (name) => (name.startsWith(join(dir, "nfs/")) ? { network: true, stable: false } : nodeFs.traits(name)),
    async statLater(name) {
      await wait("statLater", name);
      return nodeFs.statLater(name);
    },
    async openLater(name) {
      await wait("openLater", name);
      return nodeFs.openLater(name);
    },
    async readLater(name, fd, length, position) {
      await wait("readLater", name);
      return nodeFs.readLater(name, fd, length, position);
    },
    stat(name) {
      forbidden(name);
      return nodeFs.stat(name);
    },
    open(name) {
      forbidden(name);
      return nodeFs.open(name);
    },
    readdir(name) {
      forbidden(name);
      return nodeFs.readdir(name);
    },
    watch(directory, f) {
      forbidden(directory);
      return nodeFs.watch(directory, f);
    },
  };
  return { fs, state };
}

for (const call of ["statLater", "openLater", "readLater"] as const) {
  test(`a new file whose ${call} hangs stops no other file, and is read when the server answers`, async () => {
    const hung = join(dir, "nfs/hung.log");
    const other = join(dir, "nfs/other.log");
    const local = join(dir, "local.log");
    for (const path of [hung, other, local]) writeFileSync(path, `${path} 1\n`);
    const { fs, state } = remote(hung, call);
    follower = new Follower({ paths: [join(dir, "nfs/*.log"), local], from: "beginning", watch: true }, fs);
    void follower.restart();
    await follower.lines(2);
    for (const path of [other, local]) appendFileSync(path, `${path} 2\n`);
    await follower.lines(4);
    const late = join(dir, "nfs/late.log");
    writeFileSync(late, `${late} 1\n`);
    await follower.lines(5);
    expect(state.hung).toBe(1);
    expect(follower.seen.some((line) => line.startsWith(hung))).toBe(false);
    state.release();
    await follower.lines(6);
    await follower.quiet(50);
    expect(follower.seen.toSorted()).toEqual(
      [`${hung} 1`, `${late} 1`, `${local} 1`, `${local} 2`, `${other} 1`, `${other} 2`].sort(),
    );
  });

  test(`a followed file whose ${call} hangs stops no other file, and goes on when the server answers`, async () => {
    const hung = join(dir, "nfs/hung.log");
    const other = join(dir, "nfs/other.log");
    for (const path of [hung, other]) writeFileSync(path, `${path} 1\n`);
    const { fs, state } = remote(hung, call);
    state.hanging = false;
    follower = await Follower.start({ paths: [hung, other], from: "beginning", maxOpenFiles: 1 }, fs);
    await follower.lines(2);
    await follower.quiet(30);
    state.hanging = true;
    const more = (path: string) => {
      for (let i = 2; i < 20; i++) appendFileSync(path, `${path} ${i}\n`);
    };
    more(hung);
    await follower.until(
      () => state.hung > 0,
      () => "a call that hangs",
    );
    more(other);
    await follower.until(
      () => follower!.seen.filter((line) => line.startsWith(other)).length === 19,
      () => "the other file's lines",
    );
    state.release();
    await follower.lines(38);
    await follower.quiet(30);
    const of = (path: string) => follower!.seen.filter((line) => line.startsWith(path));
    for (const path of [hung, other])
      expect(of(path)).toEqual(Array.from({ length: 19 }, (_, i) => `${path} ${i + 1}`));
  });
}

test("a network file that is renamed, truncated and filled with NULs is read as others are", async () => {
  const path = join(dir, "nfs/app.log");
  const { fs, state } = remote("", "readLater");
  state.release();
  writeFileSync(path, "one\n");
  follower = await Follower.start({ paths: [path], from: "beginning" }, fs);
  await follower.lines(1);
  appendFileSync(path, "two\n");
  renameSync(path, `${path}.1`);
  writeFileSync(path, "three\n");
  await follower.lines(3);
  truncateSync(path, 0);
  appendFileSync(path, "4\n");
  await follower.lines(4);
  appendFileSync(path, Buffer.alloc(3_000_000));
  appendFileSync(path, "five\n");
  await follower.lines(5);
  appendFileSync(path, `${"x".repeat(700_000)}\n`);
  await follower.lines(6);
  await follower.quiet(50);
  expect(follower.seen.slice(0, 5)).toEqual(["one", "two", "three", "4", "five"]);
  expect(follower.seen[5]).toHaveLength(700_000);
});

/** A server of which nothing is heard until `release`; and then the first question is answered last. */
function away() {
  let release = () => {};
  let away = true;
  let asked = 0;
  const answered = new Promise<void>((resolve) => {
    release = () => {
      away = false;
      resolve();
    };
  });
  const isThere = (path: string) => path.startsWith(join(dir, "nfs/")) || path === join(dir, "nfs");
  const fs: Fs = {
    ...nodeFs,
    traits: (path) => (isThere(path) ? { network: true, stable: false } : nodeFs.traits(path)),
  };
  for (const name of ["stat", "open", "readdir", "realpath", "watch"] as const) {
    const call = nodeFs[name] as (path: string, ...more: unknown[]) => unknown;
    Object.assign(fs, {
      [name](path: string, ...more: unknown[]) {
        if (away && isThere(path)) throw new Error(`${name} of ${path} would hang`);
        return call(path, ...more);
      },
    });
  }
  for (const name of ["statLater", "openLater", "readLater", "readdirLater"] as const) {
    const call = nodeFs[name] as (path: string, ...more: unknown[]) => Promise<unknown>;
    Object.assign(fs, {
      async [name](path: string, ...more: unknown[]) {
        const isFirst = isThere(path) && ++asked === 1;
        if (away && isThere(path)) await answered;
        if (isFirst) await Bun.sleep(150);
        return call(path, ...more);
      },
    });
  }
  return { fs, release };
}

for (const once of [false, true])
  test(`a start while the server is away${once ? ", to read what is there once" : ""}: its files go on where they were`, async () => {
    const [remote, other, local] = ["nfs/app.log", "nfs/other.log", "app.log"].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    const options = { paths: [join(dir, "nfs/*.log"), local], from: "beginning", once } as const;
    for (const path of [remote, other, local]) writeFileSync(path, "1\n2\n");
    const before = await Follower.start({ ...options, once: false });
    await before.lines(6);
    before.stop();
    renameSync(remote, `${remote}.1`);
    for (const path of [remote, `${remote}.1`, other, local]) appendFileSync(path, "3\n");
    const { fs, release } = away();
    follower = new Follower(options, fs);
    follower.journal = before.journal;
    const started = follower.restart();
    if (!once) {
      await follower.lines(1);
      appendFileSync(local, "4\n");
      await follower.lines(2);
      await follower.quiet(200);
      expect(follower.where.map(({ path }) => path)).toEqual([local, local]);
      expect(follower.events.filter(({ name }) => name === "file-gone")).toEqual([]);
    }
    release();
    if (once) await started;
    await follower.lines(once ? 4 : 5);
    await follower.quiet(300);
    const seen = follower.where.map(({ path }, i) => `${path.slice(dir.length)} ${follower!.seen[i]}`);
    const expected = ["/app.log 3", "/app.log 4", "/nfs/app.log 3", "/nfs/app.log.1 3", "/nfs/other.log 3"];
    expect(seen.sort()).toEqual(once ? expected.toSpliced(1, 1) : expected);
  });

test("to read what is there once without the server is an error, which is tried again", async () => {
  const path = join(dir, "nfs/app.log");
  writeFileSync(path, "1\n");
  const before = await Follower.start({ paths: [path], from: "beginning" });
  await before.lines(1);
  before.stop();
  const { fs, release } = away();
  const hasty = { ...systemClock, after: (ms: number, f: () => void) => systemClock.after(ms / 50, f) };
  const failing = new Follower({ paths: [path], once: true }, fs, hasty);
  failing.journal = before.journal;
  const message = `reading what there is once: the server of ${join(dir, "nfs")} does not answer`;
  expect(await failing.restart().catch(({ code, message }) => [code, message])).toEqual(["FILE_IO", message]);
  failing.kill();
  release();
  appendFileSync(path, "2\n");
  follower = new Follower({ paths: [path], once: true }, fs);
  follower.journal = before.journal;
  await follower.restart();
  await follower.lines(1);
  expect(follower.seen).toEqual(["2"]);
});

test("calls that really hang leave a thread to the others, and the runtime its own", async () => {
  const fifo = join(dir, "fifo");
  spawnSync("mkfifo", [fifo]);
  const threads = new CallThreads(3);
  // Opened without O_NONBLOCK a FIFO that nobody writes to hangs as a file of a dead server does.
  const hung = [threads.call("open", fifo, constants.O_RDONLY), threads.call("open", fifo, constants.O_RDONLY)];
  expect(Number((await threads.call("stat", fifo)).mode) & constants.S_IFMT).toBe(constants.S_IFIFO);
  expect(await threads.call("readdir", dir)).toContainEqual({ name: "fifo", kind: "fifo" });
  expect(await threads.call("stat", join(dir, "none")).catch((error) => error.code)).toBe("ENOENT");
  expect((await Bun.file(import.meta.path).text()).length).toBeGreaterThan(0);
  writeFileSync(fifo, "");
  expect((await Promise.all(hung)).map(({ fd }) => fd > 2)).toEqual([true, true]);
});
