import { expect, test } from "bun:test";
import type { Fs } from "../../src/tail/fs/fs.ts";
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
