import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { DirectoryWatch } from "../../src/tail/poll/watch.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** A directory watch over a file system of events, and the time in milliseconds. */
function makeWatch(restTime = 250) {
  const clock = new ManualClock();
  const listeners = new Set<(name: string | null) => void>();
  const fs = {
    traits: () => ({ network: false, stable: true }),
    watch(_directory: string, f: (name: string | null) => void) {
      listeners.add(f);
      return () => listeners.delete(f);
    },
  } as unknown as Fs;
  const hints: (string | null)[] = [];
  const rested: string[] = [];
  /** What the listener says of a directory that has rested. */
  let busy = false;
  const watch = new DirectoryWatch(fs, clock, true, {
    hint: (path) => hints.push(path),
    rest: () => restTime,
    busy: () => busy,
    rested: (directory) => rested.push(directory),
  });
  const pass = (ms: number) => clock.advance(ms);
  const happen = (name: string) => {
    for (const listener of listeners) listener(name);
  };
  watch.set(new Set(["/logs"]));
  const setBusy = (now: boolean) => {
    busy = now;
  };
  return { watch, listeners, hints, rested, pass, happen, setBusy };
}

test("an event in a watched directory is a hint at the path", () => {
  const { watch, hints, happen } = makeWatch();
  happen("a.log");
  expect(hints).toEqual(["/logs/a.log"]);
  expect(watch.covers("/logs")).toBe(true);
});

test("a directory with events all the time is left alone, then watched again and looked at", () => {
  const { watch, listeners, hints, rested, pass, happen } = makeWatch();
  for (let i = 0; i < 100; i++) {
    happen("busy.log");
    pass(1);
  }
  expect(hints.length).toBe(25);
  expect(listeners.size).toBe(0);
  expect(watch.covers("/logs")).toBe(false);
  watch.set(new Set(["/logs"]));
  expect(listeners.size).toBe(0);
  pass(250);
  expect(rested).toEqual(["/logs"]);
  expect(listeners.size).toBe(1);
  expect(watch.covers("/logs")).toBe(true);
  happen("a.log");
  expect(hints.at(-1)).toBe("/logs/a.log");
});

test("a directory that stays busy is looked at again and again without being watched", () => {
  const { watch, listeners, rested, pass, happen, setBusy } = makeWatch();
  for (let i = 0; i < 25; i++) happen("busy.log");
  setBusy(true);
  for (let i = 0; i < 3; i++) pass(250);
  expect(rested).toEqual(["/logs", "/logs", "/logs"]);
  expect(listeners.size).toBe(0);
  expect(watch.covers("/logs")).toBe(false);
  setBusy(false);
  pass(250);
  expect(rested.length).toBe(4);
  expect(listeners.size).toBe(1);
  expect(watch.covers("/logs")).toBe(true);
});

test("seldom events never make a directory rest", () => {
  const { listeners, hints, pass, happen } = makeWatch();
  for (let i = 0; i < 200; i++) {
    happen("a.log");
    pass(10);
  }
  expect(hints.length).toBe(200);
  expect(listeners.size).toBe(1);
});

test("a directory that is dropped or closed while it rests stays unwatched", () => {
  for (const end of ["set", "close"] as const) {
    const { watch, listeners, rested, pass, happen } = makeWatch();
    for (let i = 0; i < 30; i++) happen("busy.log");
    if (end === "set") watch.set(new Set());
    else watch.close();
    pass(1000);
    expect(rested).toEqual([]);
    expect(listeners.size).toBe(0);
  }
});

test("a directory that is replaced, or reached through a link that leads elsewhere now, is watched anew", () => {
  const dir = mkdtempSync(join(tmpdir(), "logagent-watch-"));
  const watched: string[] = [];
  const fs: Fs = {
    ...nodeFs,
    watch(directory) {
      const name = `${directory.slice(dir.length + 1)} ${nodeFs.stat(directory)!.ino}`;
      watched.push(name);
      return () => watched.splice(watched.indexOf(name), 1);
    },
  };
  const listener = { hint() {}, rest: () => 250, busy: () => false, rested() {} };
  const watch = new DirectoryWatch(fs, new ManualClock(), true, listener);
  try {
    for (const name of ["v1", "v2", "plain"]) mkdirSync(join(dir, name));
    symlinkSync("v1", join(dir, "current"));
    const directories = new Set(["plain", "current"].map((name) => join(dir, name)));
    const expected = () => ["plain", "current"].map((name) => `${name} ${nodeFs.stat(join(dir, name))!.ino}`);
    watch.set(directories);
    expect(watched).toEqual(expected());
    symlinkSync("v2", join(dir, "new"));
    renameSync(join(dir, "new"), join(dir, "current"));
    renameSync(join(dir, "plain"), join(dir, "aside"));
    mkdirSync(join(dir, "plain"));
    writeFileSync(join(dir, "plain/a.log"), "");
    watch.set(directories);
    expect(watched).toEqual(expected());
    watch.set(directories);
    expect(watched).toEqual(expected());
  } finally {
    watch.close();
    rmSync(dir, { recursive: true });
  }
});
