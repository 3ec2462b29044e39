import { expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { LogagentError } from "../../src/errors.ts";
import { acquireLock, runningOwner } from "../../src/state/lock.ts";
import { bootId, processStart } from "../../src/state/machine.ts";

async function inDirectory(work: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "logagent-lock-"));
  try {
    await work(join(directory, "state.jsonl.lock"));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const refusal = (path: string) =>
  acquireLock(path).then(
    () => null,
    (error: LogagentError) => error,
  );
const owner = (fields: object) =>
  JSON.stringify({ pid: process.pid, boot: bootId(), started: processStart(process.pid), token: "t", ...fields });

test("a live owner is refused by name, a released lock is free again", () =>
  inDirectory(async (path) => {
    const lock = await acquireLock(path);
    const error = await refusal(path);
    expect(error?.code).toBe("STATE_LOCKED");
    expect(error?.message).toContain(`process ${process.pid} `);
    lock.release();
    (await acquireLock(path)).release();
    expect(readdirSync(join(path, ".."))).toEqual([]);
  }));

test.each([
  ["a process of another boot", { boot: "another" }],
  ["a process that took over the id of a dead one", { started: "1" }],
  ["a dead process", { pid: 2 ** 22 + 1 }],
])("the lock of %s is taken over", (_, fields) =>
  inDirectory(async (path) => {
    writeFileSync(path, owner(fields));
    (await acquireLock(path)).release();
  }),
);

test("garbage in place of a lock is taken over", () =>
  inDirectory(async (path) => {
    writeFileSync(path, "");
    (await acquireLock(path)).release();
  }));

test("of many that find a stale lock at once exactly one gets it", () =>
  inDirectory(async (path) => {
    for (let round = 0; round < 3; round++) {
      writeFileSync(path, owner({ pid: 2 ** 22 + 1 }));
      const script = `
        import { acquireLock } from ${JSON.stringify(join(import.meta.dir, "../../src/state/lock.ts"))};
        const go = Number(process.argv[1]);
        while (Date.now() < go) {}
        try { await acquireLock(process.argv[2]); console.log("got"); } catch (error) { console.log(error.code); }
        process.stdin.resume();
      `;
      const go = String(Date.now() + 700);
      const children = Array.from({ length: 5 }, () =>
        spawn(process.execPath, ["-e", script, go, path], { stdio: ["pipe", "pipe", "inherit"] }),
      );
      const said = await Promise.all(
        children.map(
          (child) => new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(`${data}`.trim()))),
        ),
      );
      expect(said.sort()).toEqual(["STATE_LOCKED", "STATE_LOCKED", "STATE_LOCKED", "STATE_LOCKED", "got"].sort());
      const pid = JSON.parse(readFileSync(path, "utf8")).pid;
      expect(children.map((child) => child.pid)).toContain(pid);
      await Promise.all(children.map((child) => new Promise((resolve) => child.once("exit", resolve).kill("SIGKILL"))));
    }
  }));

/** A process that takes the lock and holds it; under `words`, for example in another container. */
async function holder(path: string, words: readonly string[] = []) {
  const script = `
    import { acquireLock } from ${JSON.stringify(join(import.meta.dir, "../../src/state/lock.ts"))};
    try { await acquireLock(process.argv[1]); console.log("got", process.pid); } catch (error) { console.log(error.message); }
    process.stdin.resume();
  `;
  const [command, ...args] = [...words, process.execPath, "-e", script, path];
  const child = spawn(command!, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const said = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(`${data}`.trim())));
  const signal = (name: NodeJS.Signals) => process.kill(-child.pid!, name);
  const kill = () =>
    new Promise((resolve) => {
      child.once("exit", resolve);
      signal("SIGKILL");
    });
  return { said, signal, kill };
}

test("a killed owner leaves no lock, a stopped one keeps it, and nothing stays behind", () =>
  inDirectory(async (path) => {
    const killed = await holder(path);
    expect(killed.said).toStartWith("got ");
    expect(await runningOwner(path)).toBe(Number(killed.said.split(" ")[1]));
    killed.signal("SIGSTOP");
    for (let i = 0; i < 3; i++) expect((await refusal(path))?.code).toBe("STATE_LOCKED");
    await killed.kill();
    expect(await runningOwner(path)).toBeNull();
    expect(readdirSync(dirname(path))).toHaveLength(2);
    const lock = await acquireLock(path);
    expect(readdirSync(dirname(path))).toHaveLength(2);
    lock.release();
    expect(readdirSync(dirname(path))).toEqual([]);
  }));

const container = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"];
const inContainers = spawnSync(container[0]!, [...container.slice(1), "true"]).status === 0 ? test : test.skip;

inContainers("an owner in another container is refused while it runs, whatever its process id means here", () =>
  inDirectory(async (path) => {
    const one = await holder(path, container);
    // The first process of its own namespace: here that id is somebody else's.
    expect(one.said).toBe("got 1");
    const error = await refusal(path);
    expect([error?.code, error?.message]).toEqual([
      "STATE_LOCKED",
      expect.stringContaining("process 1 of another container uses it already"),
    ]);
    expect((await holder(path, container)).said).toContain("uses it already");
    expect(await runningOwner(path)).toBe(1);
    await one.kill();
    // The next container's process has the same id as the dead one.
    const next = await holder(path, container);
    expect(next.said).toBe("got 1");
    await next.kill();
  }),
);

test("where there are no sockets, or somebody removed it, the process id decides", () =>
  inDirectory(async (path) => {
    for (const socket of [null, "gone.socket"]) {
      writeFileSync(path, owner({ socket }));
      expect((await refusal(path))?.code).toBe("STATE_LOCKED");
      writeFileSync(path, owner({ socket, started: "1" }));
      (await acquireLock(path)).release();
    }
  }));

test("a path longer than a socket's address may be", () =>
  inDirectory(async (path) => {
    const long = join(dirname(path), "d".repeat(120), "state.jsonl.lock");
    mkdirSync(dirname(long));
    const lock = await acquireLock(long);
    expect(readdirSync(dirname(long)).filter((name) => name.endsWith(".socket"))).toHaveLength(1);
    expect((await refusal(long))?.code).toBe("STATE_LOCKED");
    lock.release();
    expect(readdirSync(dirname(long))).toEqual([]);
  }));

test("sockets of starts that were killed before they had the lock are removed", () =>
  inDirectory(async (path) => {
    const dead = await holder(path);
    await dead.kill();
    const orphan = readdirSync(dirname(path)).find((name) => name.endsWith(".socket"))!;
    unlinkSync(path);
    (await acquireLock(path)).release();
    expect(existsSync(join(dirname(path), orphan))).toBe(false);
  }));
