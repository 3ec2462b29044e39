/** What is a copy, and what only holds the same: the event decides, content proves it, and short content proves nothing. */
import { expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import type { TailOptions } from "../../../src/tail/types.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { Follower } from "../follower.ts";
import { MemoryFs } from "../memory-fs.ts";

function world(paths: string[], more: Partial<TailOptions> = {}) {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  const options = { paths, from: "beginning", pollMin: 10, pollMax: 100, ...more } as const;
  const follower = new Follower(options, fs, clock);
  const pass = (ms: number) => {
    for (let end = clock.monotonic() + ms; clock.monotonic() < end; clock.advance(20)) while (follower.step());
  };
  return { clock, fs, follower, pass };
}

const lines = (n: number, word = "line") => Array.from({ length: n }, (_, i) => `${word} ${i}\n`).join("");
const count = (text: string) => text.split("\n").length - 1;

for (const once of [true, false])
  test(`logs of two days with one equal line are two logs, ${once ? "once" : "followed"}`, async () => {
    const { fs, follower, pass } = world(["/m/*.log"], { once });
    for (const day of [1, 2]) fs.append(`/m/job-2026-01-0${day}.log`, "OK\n");
    await follower.restart();
    pass(5000);
    if (!once) {
      fs.append("/m/job-2026-01-03.log", "OK\n");
      pass(10_000);
    }
    expect(follower.seen).toEqual(Array(once ? 2 : 3).fill("OK"));
  });

test("a log of each day that says the same as that of the day before is sent each day", async () => {
  const { fs, follower, pass } = world(["/m/*.log"]);
  await follower.restart();
  for (const day of [1, 2, 3]) {
    for (let beat = 0; beat < 100; beat++) {
      fs.append(`/m/beat-2026-01-0${day}.log`, "alive and well, nothing else to say\n");
      pass(500);
    }
  }
  pass(10_000);
  expect(follower.seen.length).toBe(300);
});

for (const paths of [["/log/app-?.log"], ["/log/app-*"]])
  test(`generations of several logs that hold the same while nobody watches all arrive: ${paths}`, async () => {
    const { clock, fs, follower, pass } = world(paths);
    const logs = ["/log/app-1.log", "/log/app-2.log"];
    for (const log of logs) fs.append(log, `start of ${log}\n`);
    await follower.restart();
    pass(1000);
    follower.stop();
    for (const log of logs)
      for (const text of ["same\n", `end of ${log}\n`]) {
        clock.advance(5000);
        fs.rename(`${log}.1`, `${log}.2`);
        fs.rename(log, `${log}.1`);
        fs.append(log, text);
      }
    await follower.restart();
    pass(20_000);
    expect(follower.seen.toSorted()).toEqual(
      [...logs.flatMap((log) => [`start of ${log}`, `end of ${log}`]), "same", "same"].toSorted(),
    );
  });

test("a log that is removed and written anew with the same text is a new log", async () => {
  const { fs, follower, pass } = world(["/m/job.log"]);
  const text = lines(1000);
  await follower.restart();
  for (let run = 0; run < 2; run++) {
    fs.append("/m/job.log", text);
    pass(2000);
    fs.unlink("/m/job.log");
    pass(70_000);
  }
  fs.append("/m/job.log", text);
  pass(2000);
  expect(follower.seen.length).toBe(3000);
});

test("a compressed file of which nothing can be told is no copy", async () => {
  const { clock, fs, follower, pass } = world(["/log/*"]);
  const text = `${"x".repeat(67)}\n`.repeat(400_000);
  fs.append("/log/app.log", "something else\n");
  await follower.restart();
  pass(1000);
  fs.append("/log/app.log.2.gz", gzipSync(text, { level: 9 }));
  // What is streamed is decompressed beside the clock that is set by hand.
  const tick = setInterval(() => clock.advance(20), 1);
  await follower.lines(400_001).finally(() => clearInterval(tick));
  expect(follower.seen.length).toBe(400_001);
});

const names = [
  "app.log.1",
  "app.1.log",
  "app-1.log",
  "app.log.backup",
  "app.log.save",
  "app.log.copy",
  "app_backup.log",
  "app.log~",
];
for (const name of names)
  for (const size of [3, 300])
    test(`copied to ${name} and truncated, ${size} lines: each line once`, async () => {
      const { fs, follower, pass } = world(["/log/*"]);
      const text = lines(size);
      fs.append("/log/app.log", text);
      await follower.restart();
      pass(2000);
      fs.copy("/log/app.log", `/log/${name}`);
      pass(200);
      fs.truncate("/log/app.log");
      pass(200);
      fs.append("/log/app.log", lines(2, "after"));
      pass(70_000);
      expect(follower.seen.join("\n")).toBe((text + lines(2, "after")).trimEnd());
      follower.stop();
      await follower.restart();
      pass(10_000);
      expect(follower.seen.length).toBe(size + 2);
    });

test("a copy whose original is not truncated is a file of its own, and counted as perhaps a repeat", async () => {
  const { fs, follower, pass } = world(["/log/*"]);
  const text = lines(300);
  fs.append("/log/app.log", text);
  await follower.restart();
  pass(2000);
  fs.copy("/log/app.log", "/log/app.log.bak");
  pass(10_000);
  expect(follower.seen.length).toBe(2 * count(text));
  const said = follower.events.filter(({ name }) => name === "perhaps-repeated");
  expect(said.map(({ path, bytes }) => ({ path, bytes }))).toEqual([{ path: "/log/app.log.bak", bytes: text.length }]);
});

test("a log saved over its name with its old content and more goes on behind what was sent", async () => {
  const { clock, fs, follower, pass } = world(["/m/app.log"]);
  fs.append("/m/app.log", lines(300));
  await follower.restart();
  pass(2000);
  fs.copy("/m/app.log", "/m/.app.log.tmp");
  fs.append("/m/.app.log.tmp", lines(2, "added"));
  clock.advance(5);
  fs.rename("/m/.app.log.tmp", "/m/app.log");
  pass(2000);
  fs.append("/m/app.log", lines(1, "after"));
  pass(2000);
  expect(follower.seen.join("\n")).toBe((lines(300) + lines(2, "added") + lines(1, "after")).trimEnd());
});

test("a log saved with a change in what was sent is sent from its beginning", async () => {
  const { clock, fs, follower, pass } = world(["/m/app.log"]);
  fs.append("/m/app.log", lines(300));
  await follower.restart();
  pass(2000);
  fs.append("/m/.app.log.tmp", lines(300, "other"));
  clock.advance(5);
  fs.rename("/m/.app.log.tmp", "/m/app.log");
  pass(2000);
  expect(follower.seen.join("\n")).toBe((lines(300) + lines(300, "other")).trimEnd());
});
