/** The model's disk over the real file system: long waits pass only on the monotonic clock. */
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import { type Disk, numbersIn } from "./model.ts";
import { nextTick } from "./tick.ts";

export function realDisk(): Disk & { remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "logagent-sim-"));
  let skipped = 0;
  return {
    fs: nodeFs,
    clock: {
      now: () => Date.now(),
      monotonic: () => performance.now() + skipped,
      after: () => () => {},
      advance(ms) {
        if (ms > 4 && ms < 5) nextTick();
        else skipped += ms;
      },
    },
    directory,
    exists: existsSync,
    size: (path) => (existsSync(path) ? statSync(path).size : 0),
    append: (path, text) => appendFileSync(path, text),
    create(path) {
      rmSync(path, { force: true });
      writeFileSync(path, "");
    },
    rename(from, to) {
      if (existsSync(from)) renameSync(from, to);
    },
    truncate(path) {
      if (existsSync(path)) truncateSync(path, 0);
    },
    copy(from, to) {
      if (existsSync(from)) copyFileSync(from, to);
    },
    unlink: (path) => rmSync(path, { force: true }),
    compress(path, to, codec) {
      if (!existsSync(path)) return;
      const { atime, mtime } = statSync(path);
      writeFileSync(to, codec(readFileSync(path)));
      utimesSync(to, atime, mtime);
      rmSync(path);
    },
    renumber: () => {},
    numbers: (path) => numbersIn(existsSync(path) ? readFileSync(path) : Buffer.alloc(0)),
    contents: () => readdirSync(directory).map((name) => readFileSync(join(directory, name))),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
