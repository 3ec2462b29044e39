/** What is kept of what was read, and of files that are gone in case they come back. */
import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { FollowedFile } from "../../src/tail/files/file.ts";
import { Marks } from "../../src/tail/files/markers.ts";
import { Registry } from "../../src/tail/files/registry.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

const mark = (to: number) => ({ to, bytes: Buffer.from(`before ${to}`) });

test("marks are the same packed, and go on", () => {
  const [packed, plain] = [new Marks(), new Marks()];
  const plainly = (marks: Marks) => marks.list.map(({ to, bytes }) => [to, Buffer.from(bytes).toString()]);
  for (let to = 10; to < 400; to += 10) {
    packed.keep(mark(to), to);
    plain.keep(mark(to), to);
    packed.pack();
    expect(packed.count).toBe(plain.count);
    expect(plainly(packed)).toEqual(plainly(plain));
  }
  expect(plain.count).toBe(12);
  expect(plain.list.at(-1)!.to).toBe(390);
});

test("of many files that are done with the last 2,000 are remembered, of others all for a day", () => {
  const registry = new Registry();
  const make = (n: number, done: boolean) => {
    const identity = { dev: 1, ino: BigInt(n), birth: 1n };
    const path = `/log/app.log.${n}`;
    const file = new FollowedFile({ id: n, key: `key${n}`, input: "i", path, identity, position: 0, line: 1 });
    file.attached = false;
    file.gone = true;
    file.done = done;
    file.lastLook = n;
    registry.add(file);
    return file;
  };
  for (let n = 1; n <= 2100; n++) make(n, true);
  const waiting = Array.from({ length: 50 }, (_, i) => make(3000 + i, false));
  registry.forgetBefore(0);
  expect(registry.files.size).toBe(2050);
  expect(Math.min(...registry.files.keys())).toBe(101);
  expect(waiting.every(({ id }) => registry.files.has(id))).toBe(true);
  expect(registry.forgotten.length).toBe(100);
  registry.forgetBefore(2000);
  expect(registry.files.size).toBe(151);
});

test("where lines end is known until they are settled, and then let go", async () => {
  const tables = () => {
    Bun.gc(true);
    return heapStats().objectTypeCounts.Uint32Array ?? 0;
  };
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  const files = 300;
  for (let i = 0; i < files; i++) fs.append(`/log/${i}.log`, "one\ntwo\nthree\n");
  const options = { paths: ["/log/*.log"], from: "beginning", maxOpenFiles: files } as const;
  const follower = await Follower.start(options, fs, clock);
  const before = tables();
  follower.settling = false;
  while (follower.step());
  expect(follower.seen.length).toBe(3 * files);
  expect(tables() - before).toBeGreaterThanOrEqual(files);
  follower.settleAll();
  expect(tables() - before).toBeLessThan(files / 10);
  follower.stop();
});

test("files of one name's root are found together, and apart from others", () => {
  const registry = new Registry();
  const add = (id: number, path: string) => {
    const identity = { dev: 1, ino: BigInt(id), birth: 1n };
    const file = new FollowedFile({ id, key: `key${id}`, input: "i", path, identity, position: 0, line: 1 });
    registry.add(file);
    return file;
  };
  const [log, first, second] = [add(1, "/log/app.log"), add(2, "/log/app.log.1"), add(3, "/log/app.log.2")];
  const other = add(4, "/log/other.log");
  const ids = (files: FollowedFile[]) => files.map(({ id }) => id);
  expect(ids(registry.relatives("/log/app.log.3"))).toEqual([1, 2, 3]);
  expect(ids(registry.generations("/log/app.log"))).toEqual([1, 2, 3]);
  expect(ids(registry.relatives("/log/old/other.log.1"))).toEqual([4]);
  registry.attach(first, "/log/other.log.1");
  registry.forget(log);
  expect(ids(registry.generations("/log/app.log"))).toEqual([3]);
  expect(ids(registry.relatives("/log/other.log"))).toEqual([4, 2]);
  registry.forget(other);
  registry.forget(first);
  registry.forget(second);
  expect(registry.relatives("/log/other.log").concat(registry.relatives("/log/app.log"))).toEqual([]);
});
