/** Nothing that others wrote can move the cursor or forge a line of ours, wherever people read it. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ConfigError } from "../src/config/problems.ts";
import { createLog } from "../src/observe/log.ts";
import { render } from "../src/output/data.ts";
import { formatFacts, formatTable } from "../src/output/table.ts";
import { printable, printableBytes, printableJson } from "../src/printable.ts";
import { logagent, startLogagent } from "./support/process.ts";
import { tempDir } from "./support/temp.ts";

const evil = "a\u001b[31m\nlogagent: forged\r\u009b2J\u202e";
const seen = "a\\x1b[31m\\nlogagent: forged\\r\\u009b2J\\u202e";
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

describe("text for people", () => {
  test.each([
    ["plain text, ümläuts, 漢字 and 😀", "plain text, ümläuts, 漢字 and 😀"],
    [evil, seen],
    ["\u0000\t\u007f", "\\x00\\t\\x7f"],
    ["\udcff\udc80 \ud800 \udc00", "\\xff\\x80 \\ud800 \\udc00"],
    ["C:\\logs\\new", "C:\\logs\\new"],
  ])("%p is shown as %p", (text, shown) => expect(printable(text)).toBe(shown));

  test("bytes that are not UTF-8 show as themselves between those that are", () => {
    const bytes = Buffer.concat([
      Buffer.from("ä\ufffd"),
      Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0x1b]),
      Buffer.from("😀"),
    ]);
    expect(printableBytes(bytes)).toBe("ä\ufffd\\xff\\xc3(\\xed\\xa0\\x80\\x1b😀");
  });

  test("any text is one line without control characters, and JSON stays the same value", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.uint8Array(), (text, bytes) => {
        for (const shown of [printable(text), printableBytes(bytes)]) {
          expect(shown).not.toMatch(obeyed);
          expect(shown).not.toContain("\n");
        }
        const json = printableJson(JSON.stringify({ text }, null, 2));
        expect(json).not.toMatch(obeyed);
        expect(JSON.parse(json)).toEqual({ text });
      }),
    );
  });
});

describe("every output for people", () => {
  test("tables, facts, names on a terminal", async () => {
    const shown = { value: [evil], table: () => formatTable(["NAME"], [[evil]]), names: [evil] };
    expect(await render("table", shown)).toBe(`NAME\n${seen}\n`);
    expect(formatFacts([["Group", evil]])).toBe(`Group  ${seen}\n`);
    expect(await render("name", shown, true)).toBe(`${seen}\n`);
    expect(await render("name", shown, false)).toBe(`${evil}\n`);
  });

  test.each(["json", "yaml"] as const)("%s keeps the value and escapes it", async (format) => {
    const text = await render(format, { value: [{ name: evil, plain: "b" }], table: () => "", names: [] });
    expect(text).not.toMatch(obeyed);
    const { parse } = await import("yaml");
    expect(parse(text)).toEqual([{ name: evil, plain: "b" }]);
  });

  test("JSON log lines", () => {
    const lines: string[] = [];
    createLog({ level: "info", format: "json", write: (line) => lines.push(line) }).warn(evil, { path: evil });
    expect(lines.join("").slice(0, -1)).not.toMatch(obeyed);
    expect(JSON.parse(lines[0]!)).toMatchObject({ message: evil, path: evil });
  });

  test("several problems are a line each, however they are named", () => {
    const problem = { file: "a.yaml", line: 1, message: "unknown key" };
    const error = new ConfigError("CONFIG", [
      { ...problem, where: evil },
      { ...problem, where: "b" },
    ]);
    expect(error.lines).toHaveLength(3);
    expect(printable(error.message)).not.toContain("\n");
  });
});

describe("the program", () => {
  test("shows a file's name in one line of its log", async () => {
    const dir = tempDir("printable");
    const name = join(dir, "a\u001b[31m\nlogagent: forged.log");
    writeFileSync(name, "");
    const agent = startLogagent([
      "tail",
      join(dir, "*.log"),
      "--topic",
      "t",
      "--brokers",
      "127.0.0.1:1",
      "--state",
      join(dir, "s"),
    ]);
    await agent.says(/following .*forged/);
    const { stderr } = await agent.stop();
    expect(stderr).toContain("a\\x1b[31m\\nlogagent: forged.log");
    expect(stderr).not.toContain("\u001b");
    expect(stderr).not.toMatch(/^logagent: forged/m);
  });

  test("shows words and keys of a config file in errors of one line each", async () => {
    const dir = tempDir("printable");
    mkdirSync(join(dir, "d"));
    const config = join(dir, "a.yaml");
    writeFileSync(config, `"x\\e[31m\\nlogagent: forged": 1\n"y\\n  z": 2\n`);
    for (const args of [
      ["check", config],
      ["status", "--state", join(dir, "d\nlogagent: forged\u001b[2J")],
      ["\u001b[2J\nlogagent: forged"],
    ]) {
      const { code, stderr } = await logagent(args);
      expect(code).toBeGreaterThan(0);
      expect(stderr).not.toMatch(obeyed);
      expect(stderr).not.toMatch(/^logagent: forged/m);
      expect(stderr).toContain("forged");
    }
  });
});
