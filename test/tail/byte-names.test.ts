/** Names that are not UTF-8 are followed by their bytes: alone, below directories so named, rotated, and after a restart. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decodePath, encodePath, showPath } from "../../src/path-text.ts";
import { tempDir } from "../support/temp.ts";
import { Follower } from "./follower.ts";

let dir = "";
beforeEach(() => {
  dir = tempDir("bytes");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Of Latin-1 text, so that "\xe9" is one byte. */
const bytes = (name: string) => Buffer.concat([Buffer.from(`${dir}/`), Buffer.from(name, "latin1")]);

test("bytes to text and back, whatever they are", () => {
  const all = Buffer.from(Array.from({ length: 512 }, (_, i) => (i * 7) % 256));
  for (const name of [all, Buffer.from("é€𝒳"), Buffer.from("caf\xe9", "latin1"), Buffer.from([0xed, 0xa0, 0x80])]) {
    expect(Buffer.from(encodePath(decodePath(name)))).toEqual(name);
    expect(Buffer.from(encodePath(JSON.parse(JSON.stringify(decodePath(name)))))).toEqual(name);
  }
  expect(decodePath(Buffer.from("\ufffd é"))).toBe("\ufffd é");
  expect(showPath(decodePath(Buffer.from("/é/caf\xe9.log", "latin1")))).toBe("/\\xe9/caf\\xe9.log");
});

test("a file and a directory so named, rotated, also while the agent is down", async () => {
  mkdirSync(bytes("\xfcber"));
  writeFileSync(bytes("caf\xe9.log"), "a 1\n");
  writeFileSync(bytes("\xfcber/b.log"), "b 1\n");
  const follower = await Follower.start({ paths: [join(dir, "**/*.log")], from: "beginning", watch: true });
  await follower.lines(2);
  renameSync(bytes("caf\xe9.log"), bytes("caf\xe9.log.1"));
  appendFileSync(bytes("caf\xe9.log.1"), "a 2\n");
  writeFileSync(bytes("caf\xe9.log"), "a 3\n");
  await follower.lines(4);
  follower.stop();
  appendFileSync(bytes("caf\xe9.log"), "a 4\n");
  renameSync(bytes("caf\xe9.log"), bytes("caf\xe9.log.2"));
  writeFileSync(bytes("caf\xe9.log"), "a 5\n");
  appendFileSync(bytes("\xfcber/b.log"), "b 2\n");
  await follower.restart();
  await follower.lines(7);
  await follower.quiet();
  expect([...follower.seen].sort()).toEqual(["a 1", "a 2", "a 3", "a 4", "a 5", "b 1", "b 2"]);
  for (const { path } of follower.where) expect(showPath(path)).toMatch(/\/(\\xfcber\/b|caf\\xe9)\.log(\.[12])?$/);
  follower.tailer.close();
});

test("the binary takes such a word as it is, and writes \\xe9 into keys and JSON", async () => {
  const binary = process.env.LOGAGENT_BIN;
  const program = (binary ? [binary] : [process.execPath, join(import.meta.dir, "../../src/main.ts")]).join(" ");
  writeFileSync(bytes("caf\xe9.log"), "line\n");
  const script = `cd ${dir} && for f in *.log; do ${program} tail "$f" -t x --dry-run --key {path} --format json --header f={file}; done`;
  const { output } = await run(["sh", "-c", script]);
  const [record] = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(record.key).toBe("caf\\xe9.log");
  expect(JSON.parse(record.value)).toMatchObject({ line: "line", path: "caf\\xe9.log" });
  expect(JSON.stringify(record.headers)).toContain("caf\\\\xe9.log");
});

async function run(command: string[]): Promise<{ output: string }> {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  return { output: await new Response(child.stdout).text() };
}
