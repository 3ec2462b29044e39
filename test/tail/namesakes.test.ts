import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import { Follower } from "./follower.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-tail-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const all = () => ({ paths: [join(dir, "**/*")], from: "beginning" as const });

test("logs of one name in several directories are several logs, also with equal content", async () => {
  for (const pod of ["a", "b", "c"]) {
    write(`${pod}/0.log`, "started\n");
    write(`${pod}/0.log.1`, "ended\n");
  }
  const follower = await Follower.start(all());
  await follower.lines(6);
  write("d/0.log", "started\n");
  await follower.lines(7);
  await follower.quiet();
  expect(follower.seen.toSorted()).toEqual([...Array(3).fill("ended"), ...Array(4).fill("started")]);
  follower.stop();
});

test("logs whose names differ in a number are several logs, also with equal content", async () => {
  for (const worker of [1, 2, 3]) write(`worker-${worker}.log`, "started\n");
  const follower = await Follower.start(all());
  await follower.lines(3);
  write("worker-4.log", "started\n");
  await follower.lines(4);
  await follower.quiet();
  expect(follower.seen).toEqual(Array(4).fill("started"));
  follower.stop();
});

test("a new log that begins as one that is gone is a new log", async () => {
  for (const gone of ["worker-1.log", "a/0.log"]) write(gone, "started\n");
  const follower = await Follower.start(all());
  await follower.lines(2);
  for (const gone of ["worker-1.log", "a"]) rmSync(join(dir, gone), { recursive: true });
  await follower.quiet(300);
  for (const fresh of ["worker-2.log", "b/0.log", "worker-1.log"]) write(fresh, "started\n");
  await follower.lines(5);
  follower.stop();
  for (const gone of ["worker-2.log", "b"]) rmSync(join(dir, gone), { recursive: true });
  for (const fresh of ["worker-3.log", "c/0.log"]) write(fresh, "started\n");
  await follower.restart();
  await follower.lines(7);
  await follower.quiet();
  expect(follower.seen).toEqual(Array(7).fill("started"));
  follower.stop();
});

test("a copy in a directory below its original is a copy", async () => {
  const path = write("app.log", "one\ntwo\n");
  const follower = await Follower.start(all());
  await follower.lines(2);
  mkdirSync(join(dir, "old"));
  copyFileSync(path, join(dir, "old", "app.log.1"));
  await follower.quiet();
  expect(follower.seen).toEqual(["one", "two"]);
  follower.stop();
});

test("finding N logs takes calls linear in N, whatever their names", async () => {
  for (const name of [(i: number) => `w/worker-${i}.log`, (i: number) => `p/${i}/0.log`]) {
    const calls: number[] = [];
    for (const count of [100, 400]) {
      rmSync(dir, { recursive: true, force: true });
      for (let i = 0; i < count; i++) write(name(i), `line of ${i}\n`);
      let made = 0;
      const fs = new Proxy(nodeFs, {
        get(target, name, self) {
          if (name !== "traits") made++;
          return Reflect.get(target, name, self);
        },
      });
      const follower = await Follower.start({ ...all(), maxOpenFiles: 1000, pollMin: 1000, pollMax: 1000 }, fs);
      calls.push(made);
      follower.stop();
    }
    expect(calls[1]! / calls[0]!).toBeLessThan(6);
  }
});
