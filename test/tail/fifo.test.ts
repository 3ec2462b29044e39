/** A name that is a FIFO now, and was or will be something else. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, closeSync, constants, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { tempDir } from "../support/temp.ts";
import { Follower } from "./follower.ts";

let dir = "";
let path = "";
beforeEach(() => {
  dir = tempDir("fifo");
  path = join(dir, "a");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const makeFifo = (name = path) => spawnSync("mkfifo", [name]);

/** Writes as a shell does: waits until somebody reads. Resolves when it is written. */
function write(text: string): Promise<unknown> {
  return once(spawn("sh", ["-c", 'printf "$1" >"$2"', "sh", text, path]), "exit");
}

test("file, FIFO, another FIFO, file: each is read when its turn comes", async () => {
  writeFileSync(path, "file 1\n");
  const follower = await Follower.start({ paths: [path], from: "beginning" });
  await follower.lines(1);
  rmSync(path);
  makeFifo();
  const first = write("fifo 1\n");
  await follower.lines(2);
  await first;
  makeFifo(`${path}.new`);
  renameSync(`${path}.new`, path);
  // A writer is not left waiting for a reader.
  const second = write("fifo 2\n");
  await follower.lines(3);
  await second;
  rmSync(path);
  await follower.quiet(50);
  writeFileSync(path, "file 2\n");
  await follower.lines(4);
  appendFileSync(path, "file 3\n");
  await follower.lines(5);
  expect(follower.seen).toEqual(["file 1", "fifo 1", "fifo 2", "file 2", "file 3"]);
  follower.tailer.close();
});

test("what a writer still puts into a FIFO that lost its name comes, and then the FIFO is let go", async () => {
  makeFifo();
  const follower = await Follower.start({ paths: [path], from: "beginning" });
  const fd = openSync(path, constants.O_WRONLY);
  writeSync(fd, "fifo 1\n");
  await follower.lines(1);
  rmSync(path);
  writeFileSync(path, "file 1\n");
  await follower.lines(2);
  writeSync(fd, "fifo 2\nfifo 3");
  await follower.lines(3);
  closeSync(fd);
  await follower.lines(4);
  expect(follower.seen).toEqual(["fifo 1", "file 1", "fifo 2", "fifo 3"]);
  await follower.until(
    () => [...follower.tailer.files()].length === 1,
    () => "the FIFO to be let go",
  );
  follower.tailer.close();
});

test("a FIFO that is exchanged for a file before it is opened is not read as one", async () => {
  makeFifo();
  writeFileSync(`${path}.file`, "of the file\n");
  let exchange = true;
  const racy: Fs = {
    ...nodeFs,
    open(name, direct) {
      if (exchange && name === path) renameSync(`${path}.file`, path);
      exchange = false;
      return nodeFs.open(name, direct);
    },
  };
  const follower = await Follower.start({ paths: [path], from: "beginning" }, racy);
  await follower.lines(1);
  appendFileSync(path, "more\n");
  await follower.lines(2);
  // It has a position as files have.
  expect(follower.seen).toEqual(["of the file", "more"]);
  follower.checkpoint();
  expect([...follower.journal.values()].map(({ position }) => position)).toContain(17);
  follower.tailer.close();
});
