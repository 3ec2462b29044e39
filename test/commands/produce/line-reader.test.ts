/** Lines of files and of pipes, whatever the sizes in which they come. */
import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LineReader } from "../../../src/commands/produce/line-reader.ts";
import { run } from "../../support/process.ts";
import { removeDir, tempDir } from "../../support/temp.ts";

const dir = tempDir("line-reader");
afterAll(() => removeDir(dir));

interface Seen {
  lines: string[];
  /** Of the last chunk. */
  to: number;
  lineNumber: number;
}

/** Copies the lines of each chunk, then overwrites nothing: the reader may, with the next call. */
async function readAll(path: string): Promise<Seen> {
  const reader = new LineReader(path);
  const seen: Seen = { lines: [], to: 0, lineNumber: 1 };
  for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
    expect([chunk.base, chunk.lineNumber]).toEqual([seen.to, seen.lines.length + 1]);
    for (let i = 0; i < chunk.count; i++) {
      seen.lines.push((chunk.bytes as Buffer).toString("latin1", chunk.starts[i], chunk.ends[i]));
    }
    seen.to = chunk.to;
    // A pipe's next chunk arrives meanwhile.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return seen;
}

/** Lengths around every limit of the reader: its front, its chunk, a pipe's 64 KiB. */
const K = 1024;
const lengths = [0, 1, 0, 64 * K - 1, 3, 64 * K, 64 * K + 1, 5, 256 * K - 1, 256 * K, 1, 320 * K, 1_500_000, 7, 0];
const letters = "abcdefghijklmnop";
const expected = lengths.map((length, i) => (letters[i] as string).repeat(length));
const many = Array.from({ length: 60_000 }, (_, i) => `${i} ${"x".repeat(i % 97)}`);

for (const [name, lines, end] of [
  ["long lines", expected, "\n"],
  ["long lines, the last one unterminated", [...expected, "end"], ""],
  ["many lines", many, "\n"],
] as const) {
  const text = lines.join("\n") + end;

  test(`a file: ${name}`, async () => {
    const file = join(dir, "file");
    writeFileSync(file, text, "latin1");
    const seen = await readAll(file);
    expect(seen.lines).toEqual([...lines]);
    expect(seen.to).toBe(text.length);
  });

  test(`a pipe: ${name}`, async () => {
    const fifo = join(dir, `fifo-${createHash("sha1").update(name).digest("hex")}`);
    await run(["mkfifo", fifo]);
    for (const size of [1 << 20, 4093]) {
      const file = join(dir, "source");
      writeFileSync(file, text, "latin1");
      const writer = spawn("dd", [`if=${file}`, `of=${fifo}`, `bs=${size}`, "status=none"]);
      const closed = new Promise((resolve) => writer.once("close", resolve));
      const seen = await readAll(fifo);
      await closed;
      expect(seen.lines).toEqual([...lines]);
      expect(seen.to).toBe(text.length);
    }
  });
}

test("a line without an end is given up at 100 MiB, a sparse file's terabytes too", async () => {
  const path = join(dir, "endless");
  writeFileSync(path, "first\n");
  truncateSync(path, 2 ** 42);
  const reader = new LineReader(path);
  expect((await reader.next())?.count).toBe(1);
  await expect(reader.next()).rejects.toThrow("line 2 is longer than 100 MiB");
  reader.close();
});
