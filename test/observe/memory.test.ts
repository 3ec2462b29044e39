import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { keepMemory } from "../../src/observe/memory-limit.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";

/** The seconds at which garbage is collected, resident memory being `resident(second)` MB and the limit 100. */
function collections(seconds: number, resident: (second: number) => number): number[] {
  let now = 0;
  let next: { at: number; f: () => void } | null = null;
  const clock = {
    monotonic: () => now,
    after(ms: number, f: () => void) {
      next = { at: now + ms, f };
      return () => {
        next = null;
      };
    },
  };
  const made: number[] = [];
  const stop = keepMemory({
    clock,
    log: silentLog,
    limit: 100e6,
    resident: () => resident(now / 1000) * 1e6,
    collect: () => made.push(now / 1000),
  });
  while (next !== null && (next as { at: number }).at <= seconds * 1000) {
    const { at, f } = next as { at: number; f: () => void };
    now = at;
    f();
  }
  stop();
  expect(next).toBeNull();
  return made;
}

test("below the limit only what the start left behind is collected", () => {
  expect(collections(1000, () => 100)).toEqual([0]);
});

test("above the limit garbage is collected when there is more of it, else seldom", () => {
  expect(collections(10, (second) => ([3, 7].includes(Math.floor(second)) ? 101 : 90))).toEqual([0, 3, 7]);
  expect(collections(200, () => 101)).toEqual([0, 1, 61, 121, 181]);
  expect(collections(20, (second) => 97 + second)).toEqual([0, 4, 9.5, 15]);
  expect(collections(3, (second) => 97 + 20 * second)).toEqual([0, 1, 2, 3]);
});

test("the program can collect, and does so when more is resident than its buffers explain", async () => {
  const { brokers } = await sharedKafka();
  const topic = await createTopic(brokers, uniqueTopic("memory"), 2);
  const dir = tempDir("memory");
  const log = join(dir, "a.log");
  writeFileSync(log, `${"x".repeat(99)}\n`.repeat(400_000));
  const words = ["tail", log, "--topic", topic, "--brokers", brokers, "--state", join(dir, "state.jsonl")];
  const agent = startLogagent([...words, "--from", "beginning", "--buffer-memory", "1MiB", "--log-level", "debug"]);
  await agent.says(/garbage was collected/);
  expect((await agent.stop()).code).toBe(0);
  removeDir(dir);
}, 60_000);
