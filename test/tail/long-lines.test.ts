/** A line that is too long passes what every line passes; and what is no UTF-8 becomes U+FFFD where UTF-8 is asked for. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lines } from "../../src/lines.ts";
import type { TailOptions } from "../../src/tail/types.ts";
import { Follower } from "./follower.ts";

let dir: string;
let path: string;
let follower: Follower | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-long-"));
  path = join(dir, "app.log");
});
afterEach(() => {
  follower?.stop();
  follower = null;
  rmSync(dir, { recursive: true, force: true });
});

async function read(content: string | Buffer, options: Partial<TailOptions>, last = "last"): Promise<string[]> {
  follower?.stop();
  writeFileSync(path, content);
  follower = await Follower.start({ paths: [path], from: "beginning", ...options });
  await follower.until(
    () => follower!.seen.at(-1) === last,
    () => `${last}; got ${follower!.seen.map((line) => line.slice(0, 20))}`,
  );
  return follower.seen;
}

const cut = { maxLineBytes: 10_000, tooLong: "cut" } as const;

/** The long line ends in the buffer that it begins in, or far behind it. */
for (const length of [20_000, 3_000_000]) {
  test(`a line of ${length} bytes that is cut is judged by --include and --exclude`, async () => {
    const text = `keep 1\nsecret ${"x".repeat(length)}\nkeep 2 ${"y".repeat(length)}\nlast\n`;
    const kept = `keep 2 ${"y".repeat(9993)}`;
    expect(await read(text, { ...cut, excludeLines: /^secret/ })).toEqual(["keep 1", kept, "last"]);
    expect(follower!.where.map(({ line }) => line)).toEqual([1, 3, 4]);
    expect(await read(text, { ...cut, include: /^(keep|last)/ })).toEqual(["keep 1", kept, "last"]);
    expect([...follower!.tailer.files()][0]!.position).toBe(Buffer.byteLength(text));
  });

  test(`a line of ${length} bytes that is cut loses a carriage return, a byte order mark and a hole as others do`, async () => {
    const middle = `${"x".repeat(9999)}\r${"y".repeat(length)}\r\nlast\r\n`;
    expect((await read(middle, { ...cut, trimCr: true }))[0]).toBe("x".repeat(9999));
    const marked = `\ufeff${"x".repeat(length)}\nlast\n`;
    expect((await read(marked, { ...cut, encoding: "utf-8" }))[0]).toBe("x".repeat(9997));
    const hole = Buffer.concat([Buffer.alloc(64), Buffer.from(`${"x".repeat(length)}\nlast\n`)]);
    expect((await read(hole, cut))[0]).toBe("x".repeat(9936));
  });

  test(`a line of ${length} bytes is not cut within a character`, async () => {
    const text = `a${"é".repeat(length)}\nlast\n`;
    expect((await read(text, cut))[0]).toBe(`a${"é".repeat(4999)}`);
    const pairs = `${"𝄞".repeat(length)}\nlast\n`;
    const wide = Buffer.from(pairs, "utf16le");
    const options = { ...cut, maxLineBytes: 9999 };
    expect((await read(wide, { ...options, encoding: "utf-16le" }))[0]).toBe("𝄞".repeat(2499));
    expect((await read(wide.swap16(), { ...options, encoding: "utf-16be" }))[0]).toBe("𝄞".repeat(2499));
    expect((await read(Buffer.from(text, "latin1"), { ...cut, encoding: "latin1" }))[0]).toBe(`a${"é".repeat(9999)}`);
  });
}

test("what is no UTF-8 becomes U+FFFD with the encodings UTF-8 and auto, and stays as it is with raw", async () => {
  const content = Buffer.concat([
    Buffer.from("good é\nbad "),
    Buffer.from([0xe9, 0x20, 0xff, 0xfe, 10, 0xc3, 10]),
    Buffer.from(`${"é".repeat(3)}\nlast\n`),
  ]);
  const expected = ["good é", "bad \ufffd \ufffd\ufffd", "\ufffd", "ééé", "last"];
  for (const encoding of ["utf-8", "auto", "raw"] as const) {
    writeFileSync(path, content);
    const values: Buffer[] = [];
    follower?.stop();
    follower = new Follower({ paths: [path], from: "beginning", encoding });
    const taken = follower;
    const take = taken.take.bind(taken);
    taken.take = (lines: Lines) => {
      for (let i = 0; i < lines.count; i++)
        values.push(Buffer.from(lines.bytes.subarray(lines.starts[i]!, lines.ends[i]!)));
      take(lines);
    };
    await taken.restart();
    await taken.lines(5);
    if (encoding === "raw") expect(Buffer.concat(values)).toEqual(Buffer.from(content.filter((byte) => byte !== 10)));
    else expect(values).toEqual(expected.map((text) => Buffer.from(text)));
    expect(taken.where.map(({ offset }) => offset)).toEqual([0, 8, 17, 19, 26]);
  }
});
