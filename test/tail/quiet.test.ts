/** Directories a walk need not list: nothing that comes into them stays unseen. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Discovery } from "../../src/tail/discovery/walk.ts";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

let dir: string;
let known: Set<string>;
let listed: string[];
let now: number;
let unlearned: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-quiet-"));
  known = new Set();
  listed = [];
  now = Date.now() + 1000; // long after everything the test made
  unlearned = 0;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const create = (name: string) => writeFileSync(join(dir, name), "line\n");
const fs: Fs = {
  ...nodeFs,
  readdir(path) {
    listed.push(path.slice(dir.length + 1));
    return nodeFs.readdir(path);
  },
};

/** A walk: what it found, and which directories it listed. From then on all it found is known. */
function walk(discovery: Discovery) {
  const errand = { known: (path: string) => known.has(path), now, unlearned };
  const trouble = (path: string, error: unknown) => {
    throw new Error(path, { cause: error });
  };
  const { found } = discovery.scan(
    { ...errand, trouble, refused: trouble, rests: () => false },
    () => {},
    () => Promise.resolve(),
  );
  for (const { path } of found) known.add(path);
  now += 100;
  return { found: found.map(({ path }) => path.slice(dir.length + 1)), listed: listed.splice(0) };
}

test("listed twice, then only where something changed", () => {
  for (const sub of ["a", "b"]) mkdirSync(join(dir, sub));
  create("a/1.log");
  create("b/1.log");
  const discovery = new Discovery(fs, [join(dir, "{a,b}/*.log")], []);
  expect(walk(discovery)).toEqual({ found: ["a/1.log", "b/1.log"], listed: ["a", "b"] });
  expect(walk(discovery).listed).toEqual(["a", "b"]);
  expect(walk(discovery)).toEqual({ found: [], listed: [] });
  expect([...discovery.directories].map((path) => path.slice(dir.length + 1))).toEqual(["a", "b"]);
  create("b/2.log");
  expect(walk(discovery)).toEqual({ found: ["b/2.log"], listed: ["b"] });
  renameSync(join(dir, "b/2.log"), join(dir, "a/3.log"));
  expect(walk(discovery)).toEqual({ found: ["a/3.log"], listed: ["a", "b"] });
  for (const sub of ["a", "b"]) utimesSync(join(dir, sub), 1, 1);
  for (let i = 0; i < 2; i++) walk(discovery);
  renameSync(join(dir, "a"), join(dir, "c"));
  renameSync(join(dir, "b"), join(dir, "a"));
  renameSync(join(dir, "c"), join(dir, "b"));
  expect(walk(discovery)).toEqual({ found: ["b/3.log"], listed: ["a", "b"] });
});

test("not where something changed at the time of the walk, and in the future of a clock set back", () => {
  create("1.log");
  const discovery = new Discovery(fs, [join(dir, "*.log")], []);
  const changed = nodeFs.stat(dir)!.mtime;
  for (const since of [0, 10, 19, -5000]) {
    now = changed + since;
    walk(discovery);
    now = changed + since;
    expect(walk(discovery).listed).toEqual([""]);
  }
  now = changed + 21;
  walk(discovery);
  now = changed + 21;
  expect(walk(discovery).listed).toEqual([]);
  now = changed - 1;
  expect(walk(discovery).listed).toEqual([""]);
});

test("all the same after a minute: a program may have set the time of the last change back", () => {
  create("1.log");
  const discovery = new Discovery(fs, [join(dir, "*.log")], []);
  const { atime, mtime } = statSync(dir);
  utimesSync(dir, atime, mtime);
  walk(discovery);
  walk(discovery);
  create("2.log");
  utimesSync(dir, atime, mtime);
  expect(walk(discovery)).toEqual({ found: [], listed: [] });
  now += 60_000;
  expect(walk(discovery)).toEqual({ found: ["2.log"], listed: [""] });
});

test("where a path is known no more", () => {
  create("1.log");
  const discovery = new Discovery(fs, [join(dir, "*.log")], []);
  for (let i = 0; i < 3; i++) walk(discovery);
  known.clear();
  unlearned++;
  expect(walk(discovery)).toEqual({ found: ["1.log"], listed: [""] });
});

test("what is excluded, a directory or known makes no walk; what could become a directory does", () => {
  for (const name of ["a.log", "b.log.gz"]) create(name);
  mkdirSync(join(dir, "d"));
  const flat = new Discovery(fs, [join(dir, "*")], ["*.gz"]);
  const deep = new Discovery(fs, [join(dir, "**/*.log")], ["*.gz"]);
  expect([walk(flat).found, walk(flat).listed, walk(flat).listed]).toEqual([["a.log"], [""], []]);
  for (let i = 0; i < 3; i++) walk(deep);
  expect(walk(deep).listed).toEqual([""]); // it leads on to "d", which is quiet
  symlinkSync(join(dir, "later"), join(dir, "link"));
  for (let i = 0; i < 3; i++) walk(deep);
  const later = mkdtempSync(join(tmpdir(), "logagent-quiet-"));
  writeFileSync(join(later, "x.log"), "line\n");
  symlinkSync(later, join(dir, "later"));
  expect(walk(deep).found).toEqual(["link/x.log"]);
  rmSync(later, { recursive: true });
});

test("a copy that goes on as a log of its own, in a directory that stays as it is", async () => {
  const clock = new ManualClock();
  const memory = new MemoryFs(clock);
  const follower = new Follower({ paths: ["/log/*"], from: "beginning", pollMax: 100 }, memory, clock);
  const pass = () => {
    for (const end = clock.monotonic() + 10_000; clock.monotonic() < end; clock.advance(10)) while (follower.step());
  };
  memory.append("/log/app.log", "line 1\n");
  await follower.restart();
  pass();
  memory.copy("/log/app.log", "/log/app.log.1");
  pass();
  expect(follower.events.map(({ name }) => name)).toContain("file-waits");
  const { changed } = memory;
  memory.append("/log/app.log.1", "line 2\n");
  expect(memory.changed).toBe(changed);
  pass();
  expect(follower.seen).toContain("line 2");
  follower.stop();
});

test("a link in the directory, and a rotation where it leads", async () => {
  for (const sub of ["links", "logs"]) mkdirSync(join(dir, sub));
  const log = join(dir, "logs/0.log");
  create("logs/0.log");
  symlinkSync(log, join(dir, "links/app.log"));
  const follower = await Follower.start({ paths: [join(dir, "links/*.log")], from: "beginning", watch: true }, fs);
  await follower.lines(1);
  await follower.quiet(2500); // walks find nothing new
  for (let i = 1; i <= 3; i++) {
    renameSync(log, `${log}.${i}`);
    writeFileSync(log, `line ${i}\n`);
    await follower.lines(1 + i);
  }
  follower.stop();
  expect(follower.seen).toEqual(["line", "line 1", "line 2", "line 3"]);
});
