/** What becomes of bytes: line ends, encodings, long lines, joined lines, filters, holes. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import type { TailOptions } from "../../src/tail/types.ts";
import { Follower } from "./follower.ts";

let dir: string;
let path: string;
let follower: Follower | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-lines-"));
  path = join(dir, "app.log");
});
afterEach(() => {
  follower?.stop();
  follower = null;
  rmSync(dir, { recursive: true, force: true });
});

async function read(content: string | Buffer, options: Partial<TailOptions>, count: number): Promise<string[]> {
  writeFileSync(path, content);
  follower = await Follower.start({ paths: [path], from: "beginning", ...options });
  await follower.lines(count);
  await follower.quiet(40);
  return follower.seen;
}

test("carriage returns stay, unless they are to be trimmed; empty lines are lines", async () => {
  expect(await read("a\r\n\r\n\nb\rc\n", {}, 4)).toEqual(["a\r", "\r", "", "b\rc"]);
  follower!.stop();
  expect(await read("a\r\n\r\n\nb\rc\n", { trimCr: true }, 4)).toEqual(["a", "", "", "b\rc"]);
});

test("UTF-16 with a byte order mark and Latin-1 become UTF-8, positions stay the file's", async () => {
  const text = "grün\nČesko 𝄞\nĊ\n";
  const le = Buffer.from(`\ufeff${text}`, "utf16le");
  expect(await read(le, { encoding: "auto" }, 3)).toEqual(["grün", "Česko 𝄞", "Ċ"]);
  expect(follower!.where.map(({ offset }) => offset)).toEqual([0, 12, 30]);
  follower!.stop();
  expect(await read(Buffer.from(le).swap16(), { encoding: "auto" }, 3)).toEqual(["grün", "Česko 𝄞", "Ċ"]);
  follower!.stop();
  expect(await read(Buffer.from("grün\n", "latin1"), { encoding: "latin1" }, 1)).toEqual(["grün"]);
  follower!.stop();
  expect(await read("\ufeffa\n\ufeffb\n", { encoding: "auto" }, 2)).toEqual(["a", "\ufeffb"]);
  follower!.stop();
  expect(await read("\ufeffa\n\ufeffb\n", { encoding: "utf-8" }, 2)).toEqual(["a", "\ufeffb"]);
  follower!.stop();
  expect(await read("\ufeffa\n", { encoding: "raw" }, 1)).toEqual(["\ufeffa"]);
});

test("a line that is too long is split between characters, cut or skipped; the next line is whole", async () => {
  const long = `${"é".repeat(25_000)}!\nnext\n`;
  const split = await read(long, { maxLineBytes: 10_001, tooLong: "split" }, 6);
  expect(split.slice(0, -1).join("")).toBe(`${"é".repeat(25_000)}!`);
  expect(split.slice(0, -1).every((piece) => !piece.includes("\ufffd") && Buffer.byteLength(piece) <= 10_001)).toBe(
    true,
  );
  expect(split.at(-1)).toBe("next");
  expect(follower!.where.at(-1)!.line).toBe(2);
  follower!.stop();
  expect((await read(long, { maxLineBytes: 10_000, tooLong: "cut" }, 2)).map((line) => line.length)).toEqual([5000, 4]);
  follower!.stop();
  expect(await read(long, { maxLineBytes: 10_000, tooLong: "skip" }, 1)).toEqual(["next"]);
  expect(follower!.where[0]!.line).toBe(2);
  expect(follower!.events.some((event) => event.name === "line-too-long" && event.level === "warn")).toBe(true);
});

test("a too long line is given up only with its newline: the position never passes unsent bytes", async () => {
  writeFileSync(path, "x".repeat(3_000_000));
  follower = await Follower.start({ paths: [path], from: "beginning", maxLineBytes: 100_000, tooLong: "cut" });
  await follower.quiet(60);
  expect(follower.seen).toHaveLength(0);
  expect([...follower.tailer.files()][0]!.read).toBe(0);
  appendFileSync(path, "yy\nlast\n");
  await follower.lines(2);
  expect(follower.seen.map((line) => line.length)).toEqual([100_000, 4]);
});

test("a 10 MB line that is allowed arrives whole, in pieces written", async () => {
  const piece = "0123456789".repeat(100_000);
  writeFileSync(path, "first\n");
  follower = await Follower.start({ paths: [path], from: "beginning", maxLineBytes: 20_000_000 });
  for (let i = 0; i < 10; i++) {
    appendFileSync(path, piece);
    await follower.quiet(10);
  }
  expect(follower.seen).toEqual(["first"]);
  appendFileSync(path, "\nlast\n");
  await follower.lines(3);
  expect(follower.seen[1]).toBe(piece.repeat(10));
});

test("lines are joined by a start or a continuation pattern; the open record waits for its time-out", async () => {
  const text = "1 a\n  b\n  c\n2 d\n3 e\n  f\n";
  writeFileSync(path, text);
  const multiline = { start: /^\d/, timeoutMs: 300, maxBytes: 1 << 20 };
  follower = await Follower.start({ paths: [path], from: "beginning", multiline });
  await follower.lines(2);
  expect(follower.seen).toEqual(["1 a\n  b\n  c", "2 d"]);
  expect([...follower.tailer.files()][0]!.read).toBe(16);
  appendFileSync(path, "  g\n  par");
  await follower.lines(3);
  expect(follower.seen[2]).toBe("3 e\n  f\n  g");
  expect(follower.where.map(({ line }) => line)).toEqual([1, 4, 5]);
  follower.stop();
  expect(await read(text, { multiline: { continuation: /^\s/, timeoutMs: 20, maxBytes: 1 << 20 } }, 3)).toEqual([
    "1 a\n  b\n  c",
    "2 d",
    "3 e\n  f",
  ]);
});

test("filters keep the line numbers of what they let through", async () => {
  expect(
    await read("keep 1\ndrop\nkeep 2\nkeep secret\nkeep 3\n", { include: /^keep/, excludeLines: /secret/ }, 3),
  ).toEqual(["keep 1", "keep 2", "keep 3"]);
  expect(follower!.where.map(({ line }) => line)).toEqual([1, 3, 5]);
  expect([...follower!.tailer.files()][0]!.position).toBe(38);
});

test("the line number at a position settled in the middle of a chunk is right", async () => {
  writeFileSync(path, Array.from({ length: 1000 }, (_, i) => `line ${i + 1}\n`).join(""));
  follower = await Follower.start({ paths: [path], from: "beginning" });
  follower.settling = false;
  await follower.lines(1000);
  const { file } = follower.unsettled[0]!;
  follower.tailer.settled(file, "line 1\n".length * 9 + "line 10\n".length * 5);
  expect(follower.tailer.snapshot(file)).toMatchObject({ position: 103, line: 15 });
  follower.tailer.settled(file, 8893);
  expect(follower.tailer.snapshot(file)).toMatchObject({ position: 8893, line: 1001 });
});

test("a preallocated file is read as it is filled", async () => {
  const fd = openSync(path, "w+");
  ftruncateSync(fd, 100_000);
  follower = await Follower.start({ paths: [path], from: "beginning" });
  await follower.quiet(30);
  expect(follower.seen).toHaveLength(0);
  writeSync(fd, "one\ntw", 0);
  await follower.lines(1);
  writeSync(fd, "o\nthree\n", 6);
  await follower.lines(3);
  closeSync(fd);
  expect(follower.seen).toEqual(["one", "two", "three"]);
});

test("the rate limit slows and drops nothing", async () => {
  writeFileSync(path, Array.from({ length: 60 }, (_, i) => `${i}\n`).join(""));
  const start = performance.now();
  follower = await Follower.start({ paths: [path], from: "beginning", rateLimit: 200 });
  await follower.lines(60);
  expect(performance.now() - start).toBeGreaterThan(150);
  expect(follower.seen).toEqual(Array.from({ length: 60 }, (_, i) => String(i)));
});

test("--from: end, ±BYTES at the next line start, only in the very first scan", async () => {
  const starts: [TailOptions["from"], string[]][] = [
    ["end", ["par|t", "new"]],
    [3, ["three", "par|t", "new"]],
    [-10, ["three", "par|t", "new"]],
    [4, ["three", "par|t", "new"]],
    [-1000, ["one", "three", "par|t", "new"]],
  ];
  for (const [from, expected] of starts) {
    writeFileSync(path, "one\nthree\npar|");
    const second = join(dir, "later.log");
    rmSync(second, { force: true });
    follower = await Follower.start({ paths: [join(dir, "*.log")], from });
    appendFileSync(path, "t\n");
    await follower.until(
      () => follower!.seen.includes("par|t"),
      () => `par|t from ${from}`,
    );
    follower.stop();
    writeFileSync(second, "new\n");
    await follower.restart();
    await follower.lines(expected.length);
    await follower.quiet(30);
    expect(follower.seen).toEqual(expected);
    follower.stop();
  }
});

test("once ends at the sizes taken at the start and reports an unterminated tail", async () => {
  writeFileSync(path, "a\nb\ntail");
  follower = await Follower.start({ paths: [path], once: true, from: "beginning" });
  appendFileSync(path, " more\nc\n");
  while (!follower.tailer.finished) follower.step();
  expect(follower.seen).toEqual(["a", "b"]);
  expect(follower.events.find((event) => event.name === "unterminated-line")?.bytes).toBe(4);
});

test("once from the end sends nothing that was there, and ends", async () => {
  writeFileSync(path, "a\nb\ntail");
  writeFileSync(`${path}.1.gz`, gzipSync("old\n"));
  follower = await Follower.start({ paths: [`${path}*`], once: true, from: "end" });
  appendFileSync(path, " more\nc\n");
  await follower.until(
    () => follower!.tailer.finished,
    () => "the end",
  );
  expect(follower.step()).toBe(false);
  expect(follower.seen).toEqual([]);
  expect(follower.tailer.finished).toBe(true);
});

test("a FIFO is read when named, never blocks, and a writer's last line needs no newline", async () => {
  const made = Bun.spawnSync(["mkfifo", path]);
  expect(made.exitCode).toBe(0);
  follower = await Follower.start({ paths: [path], from: "beginning" });
  await follower.quiet(20);
  const writer = Bun.spawn(["sh", "-c", `printf 'one\\ntw' > '${path}'; sleep 0.3; printf 'second\\n' > '${path}'`]);
  await follower.lines(3);
  await writer.exited;
  expect(follower.seen.join("|")).toBe("one|tw|second");
  expect(follower.journal.size).toBe(1);
});

test("reads and scans a large backlog in order and in full", async () => {
  const line = `${"x".repeat(99)}\n`;
  writeFileSync(path, line.repeat(100_000));
  follower = await Follower.start({ paths: [path], from: "beginning" });
  let count = 0;
  let position = 0;
  while (position < 10_000_000) {
    const lines = follower.tailer.next();
    if (!lines) continue;
    expect(lines.base).toBe(position);
    expect(lines.to - lines.base).toBeLessThanOrEqual(1 << 20);
    count += lines.count;
    position = lines.to;
  }
  expect(count).toBe(100_000);
  expect(nodeFs.stat(path)!.size).toBe(position);
});
