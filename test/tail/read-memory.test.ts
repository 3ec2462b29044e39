/** What is read into: one buffer for all inputs, and chunks that stay small behind a long line. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lines } from "../../src/lines.ts";
import { Follower } from "./follower.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-memory-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

async function chunks(
  name: string,
  content: string,
): Promise<{ lines: number; bytes: number[]; memory: Set<unknown> }> {
  const path = join(dir, name);
  writeFileSync(path, content);
  const follower = new Follower({ paths: [path], from: "beginning", encoding: "raw", maxLineBytes: 4_000_000 });
  const seen = { lines: 0, bytes: [] as number[], memory: new Set<unknown>() };
  follower.take = (lines: Lines) => {
    seen.lines += lines.count;
    seen.bytes.push(lines.to - lines.base);
    seen.memory.add(lines.bytes.buffer);
  };
  await follower.restart();
  const size = Buffer.byteLength(content);
  await follower.until(
    () => [...follower.tailer.files()][0]!.read === size,
    () => "the end",
  );
  follower.stop();
  return seen;
}

test("a thousand inputs read into the memory of one", async () => {
  const memory = new Set<unknown>();
  for (let i = 0; i < 1000; i++) for (const one of (await chunks(`${i}.log`, "one\n")).memory) memory.add(one);
  expect(memory.size).toBe(1);
});

test("a chunk behind a long line is as small as any, also of another input", async () => {
  const text = `${"0123456789".repeat(20)}\n`.repeat(50_000);
  const long = await chunks("long.log", `${"x".repeat(3_000_000)}\n${text}`);
  expect(long.lines).toBe(50_001);
  expect(long.bytes[0]).toBeGreaterThan(3_000_000);
  const other = await chunks("other.log", text);
  for (const bytes of [...long.bytes.slice(1), ...other.bytes]) expect(bytes).toBeLessThanOrEqual(300_000);
});
