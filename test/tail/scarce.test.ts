import { expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

test("ulimit -n 128 with 400 files: every line once, nothing taken for deleted", async () => {
  const dir = mkdtempSync(join(tmpdir(), "logagent-scarce-"));
  try {
    const names = Array.from({ length: 400 }, (_, i) => join(dir, `${i}.log`));
    for (const name of names) writeFileSync(name, Array.from({ length: 5 }, (_, i) => `${name} ${i}\n`).join(""));
    const child = Bun.spawn(
      ["sh", "-c", 'ulimit -n 128; exec "$0" "$@"', process.execPath, join(import.meta.dir, "scarce-child.ts"), dir],
      { stderr: "pipe" },
    );
    const errors = child.stderr.getReader();
    let said = "";
    while (!said.includes("half")) {
      const { value, done } = await errors.read();
      if (done) throw new Error(`the child ended: ${said}`);
      said += new TextDecoder().decode(value);
    }
    for (const name of names) appendFileSync(name, `${name} 5\n`);
    const { seen, loud } = JSON.parse(await new Response(child.stdout).text());
    expect(seen.toSorted()).toEqual(
      names.flatMap((name) => Array.from({ length: 6 }, (_, i) => `${name} ${i}`)).sort(),
    );
    expect(loud).toEqual([]);
    expect(await child.exited).toBe(0);
  } finally {
    rmSync(dir, { recursive: true });
  }
}, 60_000);

test("what a walk could not open for want of descriptors is tried again within seconds, however slow the walk was", async () => {
  const clock = new ManualClock();
  class SlowFs extends MemoryFs {
    override open(path: string): number | null {
      clock.advance(1);
      return super.open(path);
    }
  }
  const fs = new SlowFs(clock);
  fs.maxFds = 20;
  for (let i = 0; i < 200; i++) fs.append(`/log/${i}.log`, `${i}\n`);
  const started = clock.monotonic();
  const follower = new Follower({ paths: ["/log/*.log"], from: "beginning", maxOpenFiles: 1000 }, fs, clock);
  await follower.restart();
  while (follower.seen.length < 200 && clock.monotonic() - started < 60_000) if (!follower.step()) clock.advance(5);
  expect(new Set(follower.seen).size).toBe(200);
  expect(clock.monotonic() - started).toBeLessThan(5000);
});
