/** Rotated elsewhere while the agent was down: behind a link, or into a subdirectory. What is not found is counted, once. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { tempDir } from "../support/temp.ts";
import { Follower } from "./follower.ts";

let dir = "";
beforeEach(() => {
  dir = tempDir("moved");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const path = (name: string) => join(dir, name);
const cries = (follower: Follower) =>
  follower.events.filter(({ level, name }) => level === "error" || name === "file-gone").map(({ message }) => message);

test("through a link: the renamed file lies in the directory of the link's target", async () => {
  for (const name of ["containers", "pods"]) mkdirSync(path(name));
  writeFileSync(path("pods/0.log"), "1\n");
  symlinkSync("../pods/0.log", path("containers/x.log"));
  const follower = await Follower.start({ paths: [path("containers/*.log")], from: "beginning" });
  await follower.lines(1);
  follower.stop();
  appendFileSync(path("pods/0.log"), "2\n");
  renameSync(path("pods/0.log"), path("pods/0.log.1"));
  writeFileSync(path("pods/0.log"), "3\n");
  await follower.restart();
  await follower.lines(3);
  for (let i = 4; i < 7; i++) {
    // Rotated while it is followed: a clean restart finds the renamed one again, and has nothing to complain of.
    renameSync(path("pods/0.log"), path(`pods/0.log.${i}`));
    writeFileSync(path("pods/0.log"), `${i}\n`);
    await follower.lines(i);
    follower.stop();
    await follower.restart();
  }
  await follower.quiet();
  expect(follower.seen).toEqual(["1", "2", "3", "4", "5", "6"]);
  expect(cries(follower)).toEqual([]);
  follower.tailer.close();
});

for (const to of ["archive/app.log", "2026-11/app-11-25-1.log", "2026/11/app-11-25-1.log.gz"])
  test(`into a subdirectory: ${to}`, async () => {
    writeFileSync(path("app.log"), "1\n");
    const follower = await Follower.start({ paths: [path("app.log")], from: "beginning" });
    await follower.lines(1);
    follower.stop();
    appendFileSync(path("app.log"), "2\n");
    mkdirSync(join(path(to), ".."), { recursive: true });
    renameSync(path("app.log"), path(to));
    if (to.endsWith(".gz")) writeFileSync(path(to), gzipSync(readFileSync(path(to))));
    writeFileSync(path("app.log"), "3\n");
    await follower.restart();
    await follower.lines(3);
    await follower.quiet();
    expect(follower.seen).toEqual(["1", "2", "3"]);
    expect(cries(follower)).toEqual([]);
    follower.tailer.close();
  });

test("what is known to be lost is counted, at one start only", async () => {
  writeFileSync(path("app.log"), "1\n");
  writeFileSync(path("live.log"), "1\n");
  const follower = await Follower.start({ paths: [path("*.log")], from: "beginning" });
  await follower.lines(2);
  follower.settling = false;
  appendFileSync(path("app.log"), "22\n");
  await follower.lines(3);
  follower.checkpoint();
  // The line was read and not acknowledged when the agent was killed.
  await follower.until(
    () => [...follower.tailer.files()].some(({ size, position }) => size > position),
    () => "a file with unsent bytes",
  );
  const [file] = [...follower.tailer.files()].filter(({ size, position }) => size > position);
  const state = follower.tailer.snapshot(file!.id)!;
  follower.journal.set(state.key, state);
  follower.kill();
  for (const name of ["app.log", "live.log"]) rmSync(path(name));
  await follower.restart();
  expect(follower.events.filter(({ name }) => name === "bytes-lost").map(({ bytes }) => bytes)).toEqual([3]);
  expect(follower.events.filter(({ name }) => name === "file-gone").map((event) => event.path)).toEqual([
    path("live.log"),
  ]);
  follower.stop();
  follower.events = [];
  await follower.restart();
  expect(cries(follower)).toEqual([]);
  follower.tailer.close();
});

test("a deleted file that was sent whole is not missed at the next start", async () => {
  writeFileSync(path("app.log"), "1\n");
  const follower = await Follower.start({ paths: [path("*.log")], from: "beginning" });
  await follower.lines(1);
  rmSync(path("app.log"));
  await follower.event("file-renamed");
  await follower.quiet();
  follower.stop();
  await follower.restart();
  expect(cries(follower)).toEqual([]);
  follower.tailer.close();
});
