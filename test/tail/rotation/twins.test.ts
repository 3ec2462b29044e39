/** Logs whose contents begin alike, in random order written, copied and truncated, saved, removed: each line arrives as often as it was written. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Judgement } from "../../../src/tail/files/decisions.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { Follower } from "../follower.ts";
import { MemoryFs } from "../memory-fs.ts";

const logs = ["/log/app.log", "/log/job-2026-01-01.log", "/log/job-2026-01-02.log", "/log/web-1.log", "/log/web-2.log"];
const copies = [".1", ".2", "-20260101", ".old", ".backup", ".save", "~"];

const action = fc.record({
  do: fc.constantFrom("write", "write", "write", "copytruncate", "save", "remove", "restart"),
  log: fc.nat({ max: logs.length - 1 }),
  lines: fc.constantFrom(1, 3, 60, 200),
  copy: fc.nat({ max: copies.length - 1 }),
});

type Step = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function run(steps: readonly Step[], judgement: Partial<Judgement>): Promise<void> {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  const options = { paths: ["/log/*"], from: "beginning", pollMin: 10, pollMax: 1000 } as const;
  const follower = new Follower(options, fs, clock, { judgement });
  const pass = (ms: number) => {
    for (const end = clock.monotonic() + ms; clock.monotonic() < end; clock.advance(50)) while (follower.step());
  };
  const written = new Map<string, number>();
  const lengths = new Map<string, number>();
  const write = (path: string, log: string, n: number) => {
    const from = lengths.get(log) ?? 0;
    const lines = Array.from({ length: n }, (_, i) => `line ${from + i} as in every log`);
    for (const line of lines) written.set(line, 1 + (written.get(line) ?? 0));
    lengths.set(log, from + n);
    fs.append(path, `${lines.join("\n")}\n`);
  };
  await follower.restart();
  for (const { do: what, log: index, lines, copy } of steps) {
    const log = logs[index]!;
    const there = fs.names.has(log);
    if (what === "write") write(log, log, lines);
    else if (what === "copytruncate" && there) {
      fs.copy(log, `${log}${copies[copy]}`);
      pass(100);
      fs.truncate(log);
      lengths.delete(log);
    } else if (what === "save" && (fs.names.get(log)?.data.length ?? 0) >= 1024) {
      fs.copy(log, "/log/.saved");
      write("/log/.saved", log, lines);
      clock.advance(5);
      fs.rename("/log/.saved", log);
    } else if (what === "remove" && there) {
      fs.unlink(log);
      lengths.delete(log);
    } else if (what === "restart") {
      follower.stop();
      await follower.restart();
    }
    pass(10_000);
  }
  pass(100_000);
  const seen = new Map<string, number>();
  for (const line of follower.seen) seen.set(line, 1 + (seen.get(line) ?? 0));
  follower.stop();
  for (const [line, n] of written)
    if (seen.get(line) !== n) throw new Error(`"${line}": written ${n}, seen ${seen.get(line) ?? 0}`);
}

async function check(runs: number, judgement: Partial<Judgement> = {}): Promise<fc.RunDetails<[Step[]]>> {
  const steps = fc.array(action, { minLength: 3, maxLength: 14, size: "max" });
  // The short form is the same on every machine.
  const seed = process.env.LOGAGENT_SIM_SEED ?? (process.env.LOGAGENT_CAMPAIGN === "full" ? undefined : "20261126");
  return await fc.check(
    fc.asyncProperty(steps, (all) => run(all, judgement)),
    { numRuns: runs, endOnFailure: Object.keys(judgement).length > 0, ...(seed ? { seed: Number(seed) } : {}) },
  );
}

test("logs that begin alike: each line arrives as often as it was written", async () => {
  const result = await check(Number(process.env.LOGAGENT_SIM_TWINS ?? 100));
  if (result.failed)
    throw new Error(`seed ${result.seed}: ${JSON.stringify(result.counterexample)}\n${String(result.errorInstance)}`);
  expect(result.failed).toBe(false);
}, 600_000);

const planted: Record<string, Partial<Judgement>> = {
  "equal content alone makes a copy of what is gone": { mayBeCopyOf: () => true },
  "what holds a log's content waits for ever": { patience: Number.MAX_SAFE_INTEGER },
  "what holds a log's content waits no moment": { patience: 0 },
  "nothing proves a copy": { proves: () => false },
  "no save is recognised": { precedes: () => false },
  "the copy is forgotten": { recover: () => false },
};

for (const [defect, judgement] of Object.entries(planted))
  test(`planted and found: ${defect}`, async () => {
    expect((await check(1000, judgement)).failed).toBe(true);
  }, 120_000);
