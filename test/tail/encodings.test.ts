/** Encodings of two bytes: where lines begin, also in the middle of a file and where bytes come one by one. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPosition } from "../../src/tail/rotation/start-position.ts";
import type { TailOptions } from "../../src/tail/types.ts";
import { Follower } from "./follower.ts";

let dir: string;
let path: string;
let follower: Follower | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-encodings-"));
  path = join(dir, "app.log");
});
afterEach(() => {
  follower?.stop();
  follower = null;
  rmSync(dir, { recursive: true, force: true });
});

type Wide = "utf-16le" | "utf-16be";

function wide(text: string, encoding: Wide): Buffer {
  const bytes = Buffer.from(text, "utf16le");
  return encoding === "utf-16le" ? bytes : bytes.swap16();
}

/** U+0A0A and its neighbours hold the byte of a newline without being one; in the middle of two they even look like it. */
const tricky = "\u0a00\u000a\u0a0a\u0a0b";

for (const encoding of ["utf-16le", "utf-16be"] as const) {
  for (const named of [encoding, "auto"] as const) {
    test(`${encoding} named ${named} begins at the end, at ±BYTES and behind half a line`, async () => {
      const bom = named === "auto" ? "\ufeff" : "";
      const starts: [TailOptions["from"], string, string[]][] = [
        ["end", "old\n", ["new"]],
        ["end", "old\npart", ["partnew"]],
        ["end", "part", ["partnew"]],
        ["end", "", ["new"]],
        [-3, "old\nthree\n", ["new"]],
        [-12, "old\nthree\n", ["three", "new"]],
        [-13, "old\nthree\n", ["three", "new"]],
        [5, "old\nthree\n", ["three", "new"]],
        [-1000, "old\nthree\n", ["old", "three", "new"]],
      ];
      for (const [from, before, expected] of starts) {
        writeFileSync(path, wide(bom + before, encoding));
        follower = await Follower.start({ paths: [path], from, encoding: named });
        appendFileSync(path, wide("new\n", encoding));
        await follower.lines(expected.length);
        await follower.quiet(30);
        expect({ from, before, seen: follower.seen }).toEqual({ from, before, seen: expected });
        follower.stop();
        rmSync(path);
      }
    });
  }

  test(`a start in ${encoding} is never between the bytes of a character`, () => {
    const bytes = wide(`${tricky.repeat(40_000)}\n${"x".repeat(70_000)}`, encoding);
    const content = { read: (position: number, length: number) => bytes.subarray(position, position + length) };
    const end = startPosition(content, bytes.length, { from: "end", encoding });
    expect(end).toBe(bytes.length - 140_000);
    expect(startPosition(content, bytes.length - 1, { from: "end", encoding })).toBe(end);
    // Every second character of the tricky ones is a newline.
    for (let from = 1; from < 64; from++) {
      const expected = Math.max(4, Math.ceil((from - 4) / 8) * 8 + 4);
      expect(startPosition(content, bytes.length, { from, encoding })).toBe(expected);
    }
  });

  test(`a byte order mark of ${encoding} that comes in two writes is one`, async () => {
    const bytes = wide("\ufeffgrün\nzwei\n", encoding);
    writeFileSync(path, "");
    follower = await Follower.start({ paths: [path], from: "end", encoding: "auto" });
    for (const end of [1, 2, 3, 7]) {
      writeFileSync(path, bytes.subarray(0, end));
      await follower.quiet(20);
    }
    writeFileSync(path, bytes);
    await follower.lines(2);
    expect(follower.seen).toEqual(["grün", "zwei"]);
  });
}

test("a start far behind the last line end is the place itself", () => {
  const content = { read: (_: number, length: number) => Buffer.alloc(length) };
  const size = 15 * 2 ** 40;
  expect(startPosition(content, size, { from: "end", encoding: "raw" })).toBe(size);
  expect(startPosition(content, size, { from: 12_345, encoding: "raw" })).toBe(12_345);
  expect(startPosition(content, size, { from: -2_000_001, encoding: "utf-16le" })).toBe(size - 2_000_000);
});
