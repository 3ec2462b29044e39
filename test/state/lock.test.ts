import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogagentError } from "../../src/errors.ts";
import { acquireLock } from "../../src/state/lock.ts";
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
