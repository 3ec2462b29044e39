/** File systems whose inode numbers or birth times say little: the content decides. */
import { expect, test } from "bun:test";
import { Follower } from "./follower.ts";
import { ManualClock, MemoryFs } from "./memory-fs.ts";
import { type Action, Model } from "./model.ts";

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

// Found by the simulation: inode numbers given out again, without birth times.
const lost: Record<string, Action[]> = {
  "a copy has the inode of a file that was gone before anything was read of it": [
    { do: "copytruncate", regrow: 0 },
    { do: "rename", create: false },
    { do: "rename", create: false },
    { do: "compress", zstd: false },
    { do: "compress", zstd: false },
    { do: "rename", create: false },
    { do: "tick", ms: 1 },
    { do: "truncate", regrow: 1 },
    { do: "copytruncate", regrow: 0 },
    { do: "steps", n: 1 },
    { do: "tick", ms: 1 },
  ],
  "a copy has the inode of an empty file that was compressed": [
    { do: "copytruncate", regrow: 0 },
    { do: "compress", zstd: false },
    { do: "tick", ms: 1 },
    { do: "rename", create: false },
    { do: "partial" },
    { do: "copytruncate", regrow: 0 },
    { do: "compress", zstd: false },
    { do: "copytruncate", regrow: 40 },
    { do: "copytruncate", regrow: 0 },
    { do: "write", lines: 1 },
  ],
  "a copy has the inode of a compressed file that is still held": [
    { do: "stop" },
    { do: "write", lines: 1 },
    { do: "rename", create: false },
    { do: "compress", zstd: false },
    { do: "rename", create: false },
    { do: "rename", create: false },
    { do: "rename", create: false },
    { do: "write", lines: 1 },
    { do: "start" },
    { do: "tick", ms: 1 },
    { do: "partial" },
    { do: "write", lines: 1 },
    { do: "copytruncate", regrow: 0 },
  ],
};
for (const [what, actions] of Object.entries(lost)) {
  test(`nothing is lost where ${what}`, async () => {
    const model = new Model({ wide: false, header: false, padding: 0, maxOpenFiles: 1, identity: "inode" });
    await model.run(actions);
    expect(model.problems).toEqual([]);
  });
}
