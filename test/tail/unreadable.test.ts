/** Files that cannot be read: said once each with the reason, many of them as a number. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { tempDir } from "../support/temp.ts";
import { Follower } from "./follower.ts";

let dir = "";
beforeEach(() => {
  dir = tempDir("unreadable");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Root may read everything, so a disk that refuses is played. */
function refusing(may: (path: string) => boolean): Fs & { walks: number } {
  return {
    ...nodeFs,
    walks: 0,
    open(path, direct) {
      if (!may(path)) throw Object.assign(new Error(`EACCES: permission denied, open '${path}'`), { code: "EACCES" });
      return nodeFs.open(path, direct);
    },
    readdir(path) {
      this.walks++;
      return nodeFs.readdir(path);
    },
  };
}

test("each with the reason, once; then the number of the others", async () => {
  for (let i = 0; i < 300; i++) writeFileSync(join(dir, `${i}.log`), `line of ${i}\n`);
  writeFileSync(join(dir, "good.log"), "good\n");
  let readable = false;
  const fs = refusing((path) => readable || path.endsWith("good.log"));
  const follower = await Follower.start({ paths: [join(dir, "*.log")], from: "beginning" }, fs);
  const { walks } = fs;
  await follower.until(
    () => fs.walks >= walks + 2,
    () => "two more walks",
  );
  expect(follower.seen).toEqual(["good"]);
  const warnings = follower.events.filter(({ level }) => level === "warn").map(({ message }) => message);
  expect(warnings).toHaveLength(11);
  expect(warnings[0]).toMatch(/^cannot open .*\/\d+\.log: EACCES: permission denied$/);
  expect(warnings[10]).toBe("290 more paths: cannot open: EACCES: permission denied (--log-level debug names them)");
  // The rest is in the debug log, once each too.
  expect(follower.events.filter(({ name }) => name === "file-unreadable")).toHaveLength(301);
  readable = true;
  await follower.lines(301);
  follower.tailer.close();
});
