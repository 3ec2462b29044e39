/** File systems whose inode numbers or birth times say little: the content decides. */
import { expect, test } from "bun:test";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

const path = "/log/app.log";

function changingDisk() {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  fs.births = "changing";
  fs.traitsOfAll = { network: false, stable: false };
  const options = { paths: [path], from: "beginning", pollMin: 10, pollMax: 1000, maxOpenFiles: 1 } as const;
  const follower = new Follower(options, fs, clock);
  const pass = () => {
    for (let i = 0; i < 200; i++) {
      while (follower.step());
      clock.advance(10);
    }
  };
  return { fs, follower, pass };
}

test("a file whose inode number changes goes on where it was, also one that was truncated meanwhile, also over a stop", async () => {
  const { fs, follower, pass } = changingDisk();
  fs.append(path, "one\ntwo\n");
  await follower.restart();
  pass();
  fs.renumber();
  fs.append(path, "three\n");
  pass();
  expect(follower.seen).toEqual(["one", "two", "three"]);
  fs.renumber();
  fs.truncate(path);
  fs.append(path, "four\n");
  pass();
  expect(follower.seen.slice(3)).toEqual(["four"]);
  follower.stop();
  fs.renumber();
  fs.append(path, "five\n");
  await follower.restart();
  pass();
  expect(follower.seen.slice(3)).toEqual(["four", "five"]);
});
