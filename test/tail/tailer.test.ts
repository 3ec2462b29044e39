import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Follower } from "./follower.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-tail-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("follows a file that grows, is renamed, truncated, and goes on after a stop", async () => {
  const path = join(dir, "app.log");
  writeFileSync(path, "one\ntwo\npar");
  const follower = await Follower.start({ paths: [path], from: "beginning" });
  await follower.lines(2);
  appendFileSync(path, "tial\n");
  await follower.lines(3);
  renameSync(path, `${path}.1`);
  appendFileSync(`${path}.1`, "late\n");
  writeFileSync(path, "new 1\nnew 2\n");
  await follower.lines(6);
  truncateSync(path, 0);
  appendFileSync(path, "fresh\n");
  await follower.lines(7);
  follower.stop();
  appendFileSync(path, "while down\n");
  await follower.restart();
  await follower.lines(8);
  expect(follower.seen).toEqual(["one", "two", "partial", "late", "new 1", "new 2", "fresh", "while down"]);
  await follower.quiet();
  expect(follower.seen).toHaveLength(8);
  follower.stop();
});
