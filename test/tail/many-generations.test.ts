import { expect, test } from "bun:test";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

/** Counts what costs a system call. */
class CountingFs extends MemoryFs {
  calls = 0;
  override open(path: string): number | null {
    this.calls++;
    return super.open(path);
  }
  override read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    this.calls++;
    return super.read(fd, target, offset, length, position);
  }
}

async function callsFor(generations: number): Promise<number> {
  const clock = new ManualClock();
  const fs = new CountingFs(clock);
  for (let i = generations; i > 0; i--) {
    fs.append(`/log/app.log.${i}`, `line ${i}\n`);
    clock.advance(10);
  }
  fs.append("/log/app.log", "line 0\n");
  const follower = new Follower({ paths: ["/log/app.log*"], from: "beginning", maxOpenFiles: 5000 }, fs, clock);
  await follower.restart();
  while (follower.seen.length <= generations) if (!follower.step()) clock.advance(5);
  expect(new Set(follower.seen).size).toBe(generations + 1);
  return fs.calls;
}

test("of N generations of a log each is opened and read a few times, not once for each other", async () => {
  const few = await callsFor(100);
  const many = await callsFor(400);
  expect(many / few).toBeLessThan(5);
}, 30_000);
