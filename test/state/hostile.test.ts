/** A directory that others can write, and what they may have left in one that was mended: nothing of theirs is used. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { silentLog } from "../../src/observe/log.ts";
import { prepareDirectory } from "../../src/state/directory.ts";
import { decodeEntry } from "../../src/state/line.ts";
import { acquireLock } from "../../src/state/lock.ts";
import { machineHash } from "../../src/state/machine.ts";
import { openState } from "../../src/state/open.ts";
import { stateAt } from "../../src/state/replay.ts";
import { logagent, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { isRoot } from "../support/tools.ts";

/** `nobody` on most systems; any user that is not this one. */
const other = 65534;
const asRoot = isRoot ? test : test.skip;

function stateDir(mode = 0o700): string {
  const dir = join(tempDir("hostile"), "state");
  mkdirSync(dir);
  chmodSync(dir, mode);
  return dir;
}

const tail = (dir: string) => {
  writeFileSync(join(dir, "..", "a.log"), "");
  const words = ["--topic", "t", "--brokers", "127.0.0.1:1", "--drain-timeout", "100ms"];
  return ["tail", join(dir, "..", "a.log"), ...words, "--state", join(dir, "state.jsonl")];
};

/** An agent that has made its journal and is stopped. */
async function runOnce(dir: string): Promise<void> {
  const agent = startLogagent(tail(dir));
  await agent.says(/following|going on/);
  await agent.stop();
}

/** A line of a journal with the right checksum, whatever it says. */
function line(value: object | string): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return `${text.slice(0, -1)},"crc":"${crc32(text).toString(16).padStart(8, "0")}"}\n`;
}

const header = line({ logagent: 1, agent: "a", machine: machineHash(), cluster: null, topics: {} });

describe("the directory", () => {
  test.each([
    ["everybody may write", 0o777, "mode 777"],
    ["everybody may write, sticky as /tmp", 0o1777, "mode 1777"],
  ])("that %s is refused with 74 and the command that mends it", async (_, mode, reason) => {
    const dir = stateDir(mode);
    const { code, stderr } = await logagent(tail(dir), { timeout: 20_000 });
    expect(code).toBe(74);
    expect(stderr).toContain(reason);
    expect(readdirSync(dir)).toEqual([]);
    const mend = /: (chmod .*|mkdir .*), and --state|mend it: (.*)$/m.exec(stderr)!;
    expect(spawnSync("sh", ["-c", (mend[1] ?? mend[2])!]).status).toBe(0);
    prepareDirectory(mend[1] ? join(dir, "logagent") : dir);
  });

  test("that everybody may write is told by check, whoever owns it", async () => {
    const dir = stateDir(0o777);
    if (isRoot) chownSync(dir, other, other);
    const config = join(dir, "..", "logagent.yaml");
    writeFileSync(config, `state: ${dir}/state.jsonl\ninputs: {a: {paths: /var/log/a.log, topic: t}}\n`);
    const { code, stderr } = await logagent(["check", config]);
    expect([code, stderr]).toEqual([78, expect.stringContaining("everybody may write it")]);
    chmodSync(dir, 0o700);
    expect((await logagent(["check", config])).code).toBe(0);
  });

  asRoot("of another user, or that a group may write, is refused until the command was run", () => {
    for (const [uid, gid, mode] of [
      [other, other, 0o700],
      [0, other, 0o770],
    ] as const) {
      const dir = stateDir();
      chownSync(dir, uid, gid);
      chmodSync(dir, mode);
      let message = "";
      try {
        prepareDirectory(dir);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toContain(uid === 0 ? `group ${gid} may write it` : `it belongs to user ${uid}`);
      expect(spawnSync("sh", ["-c", /mend it: (.*)$/.exec(message)![1]!]).status).toBe(0);
      prepareDirectory(dir);
    }
  });

  test("below a sticky one, and one that a group of the owner's own may write, serve", () => {
    const parent = stateDir(0o1777);
    prepareDirectory(join(parent, "own"));
    expect(statSync(join(parent, "own")).mode & 0o777).toBe(0o700);
    const dir = stateDir(0o770);
    if (statSync(dir).uid === statSync(dir).gid) prepareDirectory(dir);
  });
});

describe("what others left in a directory that is safe now", () => {
  test("a link in place of the new journal is replaced, its target stays", async () => {
    const dir = stateDir();
    const victim = join(dir, "..", "victim");
    writeFileSync(victim, "precious");
    symlinkSync(victim, join(dir, "state.jsonl.new"));
    await runOnce(dir);
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(lstatSync(join(dir, "state.jsonl")).isFile()).toBe(true);
  });

  test("a new journal that somebody made before and holds open is not the one that is written", async () => {
    const dir = stateDir();
    writeFileSync(join(dir, "state.jsonl.new"), "");
    const theirs = openSync(join(dir, "state.jsonl.new"), "r");
    const { close } = await openState({
      path: join(dir, "state.jsonl"),
      log: silentLog,
      fallBack: true,
      agentId: null,
    });
    await close();
    expect(readSync(theirs, Buffer.alloc(1))).toBe(0);
    closeSync(theirs);
    expect(readFileSync(join(dir, "state.jsonl"), "utf8")).toContain('"logagent":1');
  });

  test("a forged lock removes nothing elsewhere, neither a file nor a socket", async () => {
    const dir = stateDir();
    const victim = join(dir, "..", "victim");
    const listener = createServer().listen(join(dir, "..", "victim.socket"));
    writeFileSync(victim, "precious");
    for (const socket of ["../victim", "../victim.socket", victim, "state.jsonl.lock.ab/../../victim.socket"]) {
      const forged = { pid: 2 ** 22 + 1, boot: "another", started: "1", token: "t", socket };
      writeFileSync(join(dir, "state.jsonl.lock"), JSON.stringify(forged));
      await runOnce(dir);
    }
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(existsSync(join(dir, "..", "victim.socket"))).toBe(true);
    listener.close();
  });

  test.each([
    ["a link", (path: string) => symlinkSync("/dev/zero", path)],
    ["a FIFO", (path: string) => void spawnSync("mkfifo", [path])],
    ["a process id that means everybody", (path: string) => writeFileSync(path, '{"pid":-1,"token":"t"}')],
  ])("%s in place of the lock is taken over, and status does not wait for it", async (_, plant) => {
    const dir = stateDir();
    const path = join(dir, "state.jsonl.lock");
    writeFileSync(join(dir, "state.jsonl"), header);
    plant(path);
    expect((await logagent(["status", "--state", join(dir, "state.jsonl")])).code).toBe(0);
    (await acquireLock(path)).release();
    expect(readdirSync(dir)).toEqual(["state.jsonl"]);
  });

  test.each([
    ["a link", "it is a symbolic link", (path: string) => symlinkSync("/dev/zero", path)],
    ["a FIFO", "not a regular file", (path: string) => void spawnSync("mkfifo", [path])],
    ...(isRoot
      ? [
          [
            "another user's file",
            `it belongs to user ${other}`,
            (path: string) => {
              writeFileSync(path, header);
              chownSync(path, other, other);
            },
          ] as const,
        ]
      : []),
  ])("%s in place of the journal ends tail with 74", async (_, reason, plant) => {
    const dir = stateDir();
    plant(join(dir, "state.jsonl"));
    const { code, stderr } = await logagent(tail(dir), { timeout: 20_000 });
    expect(stderr).toContain(reason);
    expect(code).toBe(74);
  });
});

describe("a journal with right checksums that no agent wrote", () => {
  const file = {
    key: "k",
    input: "i",
    path: "/a",
    dev: 1,
    ino: "2",
    birth: "3",
    position: 4,
    line: 5,
    fingerprint: { from: 0, length: 0, hash: "" },
    marker: null,
    seen: 6,
  };

  test.each([
    [
      "bases that lead round",
      [
        { n: 2, base: 3, files: [] },
        { n: 3, base: 2, files: [], confirmed: true },
      ],
    ],
    ["a base that is itself", [{ n: 2, base: 2, files: [], confirmed: true }]],
    ["files that are none", [{ n: 1, base: 0, files: [null], confirmed: true }]],
    ["a position that is text", [{ n: 1, base: 0, files: [{ ...file, position: "9" }], confirmed: true }]],
    ["a time that no calendar has", [{ n: 1, base: 0, files: [{ ...file, seen: 1e300 }], confirmed: true }]],
    ["no files at all", [{ n: 1, base: 0, confirmed: true }]],
  ])("%s: status and tail say that it is damaged", async (_, entries) => {
    const dir = stateDir();
    const good = line({ n: 9, base: 0, files: [file], confirmed: true });
    writeFileSync(join(dir, "state.jsonl"), header + entries.map(line).join("") + good);
    for (const args of [
      ["status", "--state", join(dir, "state.jsonl")],
      [...tail(dir), "--delivery", "exactly-once"],
    ]) {
      const { code, stderr } = await logagent(args, { timeout: 20_000 });
      expect(stderr).toContain("damaged");
      expect(code).toBe(74);
    }
  });

  test("bases that lead round, with nothing behind them, do not hold status", async () => {
    const dir = stateDir();
    const round = [
      { n: 2, base: 3, files: [] },
      { n: 3, base: 2, files: [], confirmed: true },
    ];
    writeFileSync(join(dir, "state.jsonl"), header + round.map(line).join(""));
    expect((await logagent(["status", "--state", join(dir, "state.jsonl")], { timeout: 20_000 })).code).toBe(74);
  });

  test("a true one is read", async () => {
    const dir = stateDir();
    writeFileSync(join(dir, "state.jsonl"), header + line({ n: 1, base: 0, files: [file], confirmed: true }));
    expect((await logagent(["status", "--state", join(dir, "state.jsonl"), "-o", "name"])).stdout).toBe("/a\n");
    const agent = startLogagent(tail(dir));
    await agent.says(/following/);
    await agent.stop();
  });

  test("what is not an object, or not JSON, is a damaged line", () => {
    for (const text of ['"abc}', "[1,2}", "{]}"]) expect(decodeEntry(line(text).trimEnd())).toBeNull();
    expect(stateAt([{ n: 1, base: 1, files: [] }], 1)).toBeNull();
  });
});
