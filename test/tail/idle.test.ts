/** What files cost in which nothing happens, counted in calls: of the file system, and of the tailer itself. */
import { expect, test } from "bun:test";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

/** Milliseconds: a multiple of every interval of looks. */
const period = 64_000;

/** Follows `files` files that came one after the other, and counts for a while in which nothing happens. */
async function countIdle(files: number, pollMax: number, watch: boolean) {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  const counts = { stat: 0, readdir: 0, traits: 0, open: 0, read: 0, wakes: 0 };
  const count = <K extends "stat" | "readdir" | "traits" | "open" | "read">(name: K) => {
    const call = fs[name].bind(fs) as (...args: unknown[]) => unknown;
    Object.assign(fs, {
      [name]: (...args: unknown[]) => {
        counts[name]++;
        return call(...args);
      },
    });
  };
  for (const name of ["stat", "readdir", "traits", "open", "read"] as const) count(name);
  const listeners = new Set<(name: string) => void>();
  const listen = (_directory: string, f: (name: string) => void) => {
    listeners.add(f);
    return () => listeners.delete(f);
  };
  if (watch) Object.assign(fs, { watch: listen });
  const follower = new Follower({ paths: ["/log/*.log"], pollMin: 8, pollMax, watch }, fs, clock);
  const pass = (ms: number) => {
    for (const end = clock.monotonic() + ms; clock.monotonic() < end; ) {
      counts.wakes++;
      while (follower.step());
      clock.advance(Math.max(1, Math.ceil(follower.tailer.wait())));
    }
  };
  fs.create("/log/0.log");
  await follower.restart();
  for (let i = 1; i < files; i++) {
    fs.append(`/log/${i}.log`, "line\n");
    for (const listener of listeners) listener(`${i}.log`);
    pass(37);
  }
  pass(3 * period);
  expect([...follower.tailer.files()].length).toBe(files);
  for (const name of Object.keys(counts) as (keyof typeof counts)[]) counts[name] = 0;
  pass(period);
  follower.stop();
  return counts;
}

for (const files of [50, 400])
  for (const { pollMax, watch, interval } of [
    { pollMax: 1000, watch: false, interval: 1000 },
    { pollMax: 1000, watch: true, interval: 8000 },
  ])
    test(`${files} idle files cost a stat each ${interval} ms and few wake-ups`, async () => {
      const counts = await countIdle(files, pollMax, watch);
      const rounds = period / interval;
      expect(counts.stat).toBeGreaterThanOrEqual(files * rounds * 0.99);
      // A look may come early by a sixteenth of the interval; the directory is looked at as well.
      expect(counts.stat).toBeLessThanOrEqual(files * rounds * 1.07 + 2 * rounds);
      // Nothing came: the directory is listed once a minute, and otherwise only looked at.
      expect(counts.readdir).toBeLessThanOrEqual(Math.ceil(period / 60_000));
      expect(counts.traits).toBeLessThanOrEqual(3.3 * files * rounds + 10 * rounds);
      expect([counts.open, counts.read]).toEqual([0, 0]);
      // Whenever they came: sixteen groups of files in an interval, and the walks.
      expect(counts.wakes).toBeLessThanOrEqual(17 * rounds + period / 1000 + 1);
    });
