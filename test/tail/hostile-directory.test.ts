/** An agent of root's in a directory into which user nobody writes: it must not read for him what he cannot read. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { execute } from "../support/execute.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { Follower } from "./follower.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const as = isRoot ? "" : " (needs root: two users)";
let dir = "";
let logs = "";
let secret = "";
beforeEach(() => {
  dir = tempDir("hostile");
  chmodSync(dir, 0o755);
  logs = join(dir, "logs");
  secret = join(dir, "private/secret.log");
  mkdirSync(logs);
  if (isRoot) chownSync(logs, nobody, nobody);
  mkdirSync(join(dir, "private"), { mode: 0o755 });
  writeFileSync(secret, "SECRET 1\nSECRET 2\n", { mode: 0o600 });
});
afterEach(() => removeDir(dir));

/** Made by nobody. */
function link(target: string, name: string, owner = nobody): void {
  symlinkSync(target, join(logs, name));
  lchownSync(join(logs, name), owner, owner);
}

function file(name: string, text: string, owner = nobody): void {
  mkdirSync(join(dir, name, ".."), { recursive: true });
  writeFileSync(join(dir, name), text);
  chownSync(join(dir, name), owner, owner);
}

const refused = (follower: Follower) =>
  follower.events.filter(({ name }) => name === "link-refused").map(({ path }) => path!.slice(logs.length + 1));

test.skipIf(!isRoot)(`links to what is not their owner's are refused, and said once${as}`, async () => {
  file("logs/plain.log", "plain\n");
  file("home/own.log", "own by link\n");
  file("home/sub/deep.log", "own by directory\n");
  file("home/sub/roots.log", "SECRET of root below a directory of nobody's\n", 0);
  chownSync(join(dir, "home"), nobody, nobody);
  chownSync(join(dir, "home/sub"), nobody, nobody);
  file("root/by-root.log", "by root's link\n", 0);
  link(secret, "shadow.log");
  link("shadow.log", "chain.log");
  link("/", "host");
  link(join(dir, "private"), "private");
  link("/dev/zero", "zero.log");
  link("/proc/self/environ", "environ.log");
  link("/proc/self/root", "proc");
  link("loop.log", "loop.log");
  link(join(dir, "home/own.log"), "own.log");
  link(join(dir, "home/sub"), "sub");
  link(join(dir, "root/by-root.log"), "root.log", 0);
  link(secret, "admins.log", 0);
  link("shadow.log", "roots-to-nobodys.log", 0);
  const follower = await Follower.start({ paths: [join(logs, "**/*.log")], from: "beginning", pollMax: 20 });
  const wanted = ["SECRET 1", "SECRET 2", "by root's link", "own by directory", "own by link", "plain"];
  await follower.lines(wanted.length);
  // Some walks later nothing else came and nothing was said twice.
  appendFileSync(join(logs, "plain.log"), "more\n");
  await follower.lines(wanted.length + 1);
  await follower.quiet(2500);
  // What root's link names is read: root chose it.
  expect(follower.where.filter(({ path }) => path.includes("admins"))).toHaveLength(2);
  expect([...follower.seen].sort()).toEqual([...wanted, "more"].sort());
  expect(refused(follower).sort()).toEqual([
    "chain.log",
    "environ.log",
    "host",
    "private",
    "proc",
    "roots-to-nobodys.log",
    "shadow.log",
    "sub/roots.log",
  ]);
  follower.tailer.close();
});

test.skipIf(!isRoot)(`a refused link is looked at again, but not at each walk${as}`, async () => {
  file("root/late.log", "late\n", 0);
  link(join(dir, "root/late.log"), "late.log");
  let looks = 0;
  const fs: Fs = {
    ...nodeFs,
    readlink(path) {
      looks++;
      return nodeFs.readlink(path);
    },
    readdir(path) {
      walks++;
      return nodeFs.readdir(path);
    },
  };
  let walks = 0;
  const follower = await Follower.start({ paths: [join(logs, "*.log")], from: "beginning", watch: true }, fs);
  for (let i = 0; walks < 6; i++) {
    file(`logs/${i}.log`, `${i}\n`);
    await follower.lines(i + 1);
  }
  expect(refused(follower)).toEqual(["late.log"]);
  expect(looks).toBeLessThan(walks);
  chownSync(join(dir, "root/late.log"), nobody, nobody);
  await follower.until(
    () => follower.seen.includes("late"),
    () => "the line behind the link",
  );
  follower.tailer.close();
});

test.skipIf(!isRoot)(
  `all follows any link but those into /proc, /sys and /dev; none follows no link${as}`,
  async () => {
    file("logs/plain.log", "plain\n");
    link(secret, "shadow.log");
    link("/proc/self/status", "status.log");
    for (const [followLinks, lines] of [
      ["all", ["SECRET 1", "SECRET 2", "plain"]],
      ["none", ["plain"]],
    ] as const) {
      const follower = await Follower.start({ paths: [join(logs, "*.log")], from: "beginning", followLinks });
      await follower.lines(lines.length);
      await follower.quiet();
      expect([...follower.seen].sort()).toEqual([...lines]);
      follower.tailer.close();
    }
    const named = await Follower.start({ paths: [join(logs, "shadow.log")], from: "beginning", followLinks: "none" });
    await named.lines(2);
    named.tailer.close();
  },
);

test.skipIf(!isRoot)(
  `files and links exchanged all the time: nothing else is read, nothing stops${as}`,
  async () => {
    const child = spawn(process.execPath, [join(import.meta.dir, "hostile-child.ts"), logs, secret], {
      stdio: "ignore",
    });
    try {
      const rounds = join(logs, "rounds.txt");
      const done = () => (existsSync(rounds) ? Number(readFileSync(rounds, "utf8").trim().split("\n").at(-1)) : 0);
      await waitFor("the first rounds of exchanges", () => done() > 0);
      const follower = await Follower.start({
        paths: [join(logs, "**/*.log")],
        from: "beginning",
        pollMin: 1,
        pollMax: 2,
      });
      const steady = join(logs, "steady.log");
      let written = 0;
      const isSteady = (line: string) => line.startsWith("steady ");
      while (done() < 3000 || written < 50) {
        appendFileSync(steady, `steady ${++written}\n`);
        const before = follower.seen.filter(isSteady).length;
        await follower.until(
          () => follower.seen.filter(isSteady).length > before,
          () => `line ${written} of the file that is left alone`,
        );
        follower.tailer.close();
        if (written % 10 === 0) follower.checkpoint();
        await follower.restart(); // each start opens everything anew
      }
      expect(follower.seen.filter((line) => line.includes("SECRET"))).toEqual([]);
      expect(follower.seen.filter((line) => !/^(own|steady) /.test(line))).toEqual([]);
      follower.tailer.close();
    } finally {
      child.kill("SIGKILL");
    }
  },
  60_000,
);

test.skipIf(!isRoot)(`the binary: neither a secret nor its own state, and it says why${as}`, async () => {
  const binary = process.env.LOGAGENT_BIN;
  const program = binary ? [binary] : [process.execPath, "src/main.ts"];
  file("logs/plain.log", "plain\n");
  link(secret, "shadow.log");
  const { code, output } = await execute([...program, "tail", join(logs, "*.log"), "-t", "x", "--dry-run"], {
    cwd: join(import.meta.dir, "../.."),
    timeout: 30_000,
    env: process.env,
  });
  expect(output).toContain('"value":"plain"');
  expect(output).not.toContain("SECRET");
  expect(output).toContain(`not following ${join(logs, "shadow.log")}`);
  expect(code).toBe(0);
});

test.skipIf(!isRoot)(`FIFOs, odd names and a hole: the file beside them is read${as}`, async () => {
  execFileSync("mkfifo", [join(logs, "pipe.log")]);
  file("logs/hole.log", "");
  truncateSync(join(logs, "hole.log"), 2 ** 26);
  for (const name of [`a${"-1".repeat(10)}.log`, "a\nb.log", "-rf.log", "a[b].log", "\u202e.log"])
    file(`logs/${name}`, `${JSON.stringify(name)}\n`);
  mkdirSync(join(logs, "directory.log"));
  const follower = await Follower.start({ paths: [join(logs, "*.log")], from: "beginning" });
  for (let i = 1; i <= 20; i++) {
    file("logs/steady.log", Array.from({ length: i }, (_, k) => `steady ${k}\n`).join(""));
    await follower.until(
      () => follower.seen.includes(`steady ${i - 1}`),
      () => `line ${i} of the file beside`,
    );
  }
  await follower.lines(25);
  expect([...follower.tailer.files()].map((one) => one.path).filter((path) => /pipe|directory/.test(path))).toEqual([]);
  follower.tailer.close();
});

test("what is named for the agent's own state is not followed", async () => {
  writeFileSync(join(logs, "a.jsonl"), "line\n");
  const state = join(logs, "state.jsonl");
  for (const name of [state, `${state}.1`]) writeFileSync(name, "state\n");
  linkSync(join(logs, "a.jsonl"), join(logs, "b.jsonl"));
  symlinkSync(state, join(logs, "c.jsonl"));
  const follower = await Follower.start({ paths: [join(logs, "*.jsonl*")], from: "beginning" }, undefined, undefined, {
    own: [state],
  });
  await follower.lines(1);
  await follower.quiet();
  expect(follower.seen).toEqual(["line"]);
  follower.tailer.close();
});
