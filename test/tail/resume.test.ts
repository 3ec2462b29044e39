/** What is found again after a stop or a kill, and what happens to it before the first read. */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

const path = "/log/app.log";

function makeFollower(): { fs: MemoryFs; clock: ManualClock; follower: Follower } {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  return {
    fs,
    clock,
    follower: new Follower({ paths: [path], from: "beginning", pollMin: 10, pollMax: 1000 }, fs, clock),
  };
}

const some = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `${from + i} ${"x".repeat(30)}`);
const text = (lines: string[]) => lines.map((line) => `${line}\n`).join("");

function drain(follower: Follower, clock: ManualClock): void {
  for (let i = 0; i < 300; i++) {
    while (follower.step());
    clock.advance(10);
  }
}

test("a file truncated after it was found again and before its first read is read from its beginning, also at a position without a marker", async () => {
  const { fs, clock, follower } = makeFollower();
  const old = some(0, 50);
  fs.append(path, text(old.slice(0, 3)));
  await follower.restart();
  follower.settling = false;
  follower.step();
  const [first] = follower.unsettled;
  // Only two lines of a small chunk are settled: no marker lies within it.
  follower.tailer.settled(first!.file, text(old.slice(0, 2)).length);
  fs.append(path, text(old.slice(3)));
  clock.advance(10);
  follower.step();
  expect(follower.seen).toEqual(old);
  follower.checkpoint();
  follower.kill();
  follower.seen = [];
  follower.settling = true;
  await follower.restart();
  expect(follower.journal.get([...follower.journal.keys()].at(0)!)?.marker ?? null).toBeNull();
  clock.advance(5);
  fs.copy(path, `${path}.1`);
  clock.advance(5);
  fs.truncate(path);
  const fresh = some(100, 200);
  fs.append(path, text(fresh));
  drain(follower, clock);
  expect(follower.seen).toEqual([...old.slice(2), ...fresh]);
});

test("a generation that was compressed before anybody saw it is read once, though two looks find it", async () => {
  const { fs, clock, follower } = makeFollower();
  const generations = [some(0, 3), some(3, 43)];
  fs.append(path, text(generations[0]!));
  await follower.restart();
  follower.kill();
  await follower.restart();
  clock.advance(5);
  fs.copy(path, `${path}.2`);
  clock.advance(5);
  fs.truncate(path);
  fs.append(path, text(generations[1]!));
  clock.advance(5);
  fs.copy(path, `${path}.1`);
  clock.advance(5);
  fs.truncate(path);
  fs.compress(`${path}.1`, `${path}.1.gz`, gzipSync);
  drain(follower, clock);
  expect(follower.seen).toEqual(generations.flat());
});
