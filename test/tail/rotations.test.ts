/** Rotations as they are counted: each once. */
import { expect, test } from "bun:test";
import { eventCount } from "../../src/pipeline/inputs/input.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

const path = "/log/app.log";

for (const pattern of [path, `${path}*`])
  for (const maxOpenFiles of [1, 100])
    for (const look of ["between", "after"])
      test(`each rename is counted once: ${pattern}, ${maxOpenFiles} open files, a look ${look}`, async () => {
        const clock = new ManualClock();
        const fs = new MemoryFs(clock);
        const options = { paths: [pattern], from: "beginning", pollMin: 10, pollMax: 100, maxOpenFiles } as const;
        const follower = new Follower(options, fs, clock);
        const pass = () => {
          for (let i = 0; i < 257; i++) {
            while (follower.step());
            clock.advance(10);
          }
        };
        const rotations = 3;
        fs.append(path, "line 0\n");
        await follower.restart();
        pass();
        for (let i = 1; i <= rotations; i++) {
          fs.rename(path, `${path}.${i}`);
          if (look === "between") pass();
          clock.advance(5);
          fs.append(path, `line ${i}\n`);
          pass();
        }
        const counted = follower.events.map(eventCount).filter((count) => count?.name === "file_rotations_total");
        expect(counted.map((count) => count!.by)).toEqual([1, 1, 1]);
        expect(follower.seen).toEqual(["line 0", "line 1", "line 2", "line 3"]);
      });

test("what the writer adds to the renamed log until it takes the new one comes first, also when the name led nowhere meanwhile", async () => {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  const follower = new Follower({ paths: [path], from: "beginning", pollMin: 10, pollMax: 100 }, fs, clock);
  const pass = () => {
    for (let i = 0; i < 50; i++) {
      while (follower.step());
      clock.advance(10);
    }
  };
  fs.append(path, "1\n");
  await follower.restart();
  pass();
  fs.rename(path, `${path}.1`);
  pass();
  expect(follower.events.map(({ name }) => name)).toContain("file-renamed");
  fs.create(path);
  pass();
  fs.append(`${path}.1`, "2\n");
  fs.append(path, "3\n");
  pass();
  expect(follower.seen).toEqual(["1", "2", "3"]);
});
