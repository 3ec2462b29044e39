import { describe, expect, test } from "bun:test";
import { createLog } from "../../src/observe/log.ts";
import { Seldom } from "../../src/observe/log-throttle.ts";
import { run } from "../support/process.ts";

describe("JSON", () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", format: "json", write: (line) => lines.push(line) });

  test("is one object a line with the fields", () => {
    log.debug("hidden");
    log.warn('a "quoted"\nmessage', { offset: 12345678901234567890n, path: "/x", none: null });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEndWith("\n");
    const { time, ...rest } = JSON.parse(lines[0]!);
    expect(Date.parse(time)).toBeGreaterThan(0);
    expect(rest).toEqual({
      level: "warn",
      message: 'a "quoted"\nmessage',
      offset: "12345678901234567890",
      path: "/x",
      none: null,
    });
  });
});

test("text goes to stderr only, every repeat included", async () => {
  const script = `
    import { createLog } from ${JSON.stringify(`${import.meta.dirname}/../../src/observe/log.ts`)};
    const log = createLog({ level: "info", format: "text" });
    for (let i = 0; i < 20; i++) log.info("again", { i: 1, path: "a b" });
    log.error("bad"); log.debug("hidden");`;
  const { stdout, stderr } = await run([process.execPath, "-e", script]);
  expect(stdout).toBe("");
  expect(stderr.match(/again i=1 path="a b"/g)).toHaveLength(20);
  expect(stderr).toContain("bad");
  expect(stderr).not.toContain("hidden");
});

test("said once, then seldom", () => {
  let now = 0;
  const seldom = new Seldom({ monotonic: () => now }, 100, 300);
  const said: [number, number][] = [];
  for (now = 0; now <= 1000; now += 50) {
    const held = seldom.say("broker");
    if (held !== null) said.push([now, held]);
  }
  expect(said).toEqual([
    [0, 0],
    [100, 1],
    [300, 3],
    [600, 5],
    [900, 5],
  ]);
  expect(seldom.say("other")).toBe(0);
  seldom.clear("broker");
  expect(seldom.say("broker")).toBe(0);
});
