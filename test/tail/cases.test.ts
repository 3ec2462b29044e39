/**
 * What hurt the users of other followers of files, one test each, named for its origin (repository and issue number).
 * Those that need no broker run against a sink in memory; a slow broker is a sink that settles late.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { systemClock } from "../../src/runtime.ts";
import { type Fs, nodeFs } from "../../src/tail/fs/fs.ts";
import { createTailer } from "../../src/tail/tailer.ts";
import { defaults, Follower } from "./follower.ts";
import { nextTick } from "./tick.ts";

let dir: string;
let path: string;
const followers: Follower[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-case-"));
  path = join(dir, "app.log");
});
afterEach(() => {
  for (const follower of followers.splice(0)) follower.tailer.close();
  rmSync(dir, { recursive: true, force: true });
});

async function follow(options: Parameters<typeof Follower.start>[0], fs?: Fs): Promise<Follower> {
  const follower = await Follower.start({ from: "beginning", ...options }, fs);
  followers.push(follower);
  return follower;
}

let counter = 0;
const some = (n: number, tag = "line") => Array.from({ length: n }, () => `${tag} ${++counter}\n`).join("");
const split = (text: string) => text.split("\n").slice(0, -1);

test("1. hpcloud/tail#127, #154, nxadm/tail#74: 100 lines and a rename within one poll", async () => {
  let all = some(3);
  writeFileSync(path, all);
  const follower = await follow({ paths: [path], pollMin: 50 });
  await follower.lines(3);
  for (let i = 0; i < 5; i++) {
    const lines = some(100);
    all += lines;
    appendFileSync(path, lines);
    renameSync(path, `${path}.${i}`);
    nextTick();
  }
  const last = some(1);
  writeFileSync(path, last);
  await follower.lines(504);
  expect(follower.seen).toEqual(split(all + last));
});

test("2. fluent-bit#10414: a broker so slow that a large rotated file needs far longer than any grace", async () => {
  // 300 MB in a full campaign, as where it comes from.
  const total = process.env.LOGAGENT_CAMPAIGN === "full" ? 300_000 : 32_000;
  const line = (number: number) => `${number} `.padEnd(999, "x");
  for (let first = 0; first < total; first += 1000)
    appendFileSync(path, Array.from({ length: 1000 }, (_, i) => `${line(first + i)}\n`).join(""));
  let passed = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passed };
  const follower = await Follower.start({ paths: [path], from: "beginning" }, nodeFs, clock);
  followers.push(follower);
  const { tailer } = follower;
  const unsettled: { file: number; to: number }[] = [];
  let next = 0;
  const read = () => {
    const lines = tailer.next();
    if (lines === null) return false;
    for (let i = 0; i < lines.count; i++, next++) {
      const bytes = Buffer.from(
        lines.bytes.buffer,
        lines.bytes.byteOffset + lines.starts[i]!,
        lines.ends[i]! - lines.starts[i]!,
      );
      if (bytes.length !== 999 || Number.parseInt(bytes.toString("latin1", 0, 12), 10) !== next)
        throw new Error(`${bytes.subarray(0, 20)} came as line ${next}`);
    }
    unsettled.push({ file: lines.file, to: lines.to });
    return true;
  };
  read();
  renameSync(path, `${path}.1`);
  writeFileSync(path, Array.from({ length: 10 }, (_, i) => `${line(total + i)}\n`).join(""));
  for (const end = performance.now() + 30; performance.now() < end; await Bun.sleep(2)) tailer.tend!();
  unlinkSync(`${path}.1`);
  // The broker takes one chunk in eleven minutes; the release of quiet files, the longest grace there is, takes ten.
  for (const end = performance.now() + 60_000; next < total + 10 && performance.now() < end; ) {
    passed += 660_000;
    tailer.tend!();
    if (!read()) await Bun.sleep(2);
    const oldest = unsettled.length > 8 ? unsettled.shift() : undefined;
    if (oldest) tailer.settled(oldest.file, oldest.to);
  }
  expect(next).toBe(total + 10);
  expect(follower.events.filter(({ name }) => name === "bytes-lost" || name === "file-truncated")).toEqual([]);
}, 120_000);

test("3. fluent-bit#465: a stalled hot file does not keep back a quiet one that rotates", async () => {
  const hot = join(dir, "hot.log");
  writeFileSync(hot, some(200_000));
  writeFileSync(path, "quiet 1\n");
  const follower = await follow({ paths: [hot, path] });
  for (let i = 0; i < 4; i++) follower.step();
  expect(follower.seen).toContain("quiet 1");
  appendFileSync(path, "quiet 2\n");
  renameSync(path, `${path}.1`);
  writeFileSync(path, "quiet 3\n");
  const before = follower.seen.length;
  await follower.until(
    () => follower.seen.includes("quiet 3"),
    () => "quiet 3",
  );
  expect(follower.seen.filter((line) => line.startsWith("quiet"))).toEqual(["quiet 1", "quiet 2", "quiet 3"]);
  expect(follower.seen.length - before).toBeLessThan(150_000);
});

test("4. vector#23076, #17240, #25079: deleted and created again on the same inode while the agent was down", async () => {
  writeFileSync(path, `header\n${some(2000)}`);
  const follower = await follow({ paths: [path] });
  await follower.lines(2001);
  follower.stop();
  const inode = statSync(path).ino;
  unlinkSync(path);
  const fresh = `header\n${some(3000)}`;
  writeFileSync(path, fresh);
  await follower.restart();
  await follower.lines(5002);
  await follower.quiet(50);
  expect(follower.seen.slice(2001)).toEqual(split(fresh));
  expect([inode, statSync(path).ino].every((n) => n > 0)).toBe(true);
});

test("4b. the same inode and the same beginning, but another birth time: a new file", async () => {
  const content = `${"header ".repeat(200)}\n`;
  writeFileSync(path, content);
  const follower = await follow({ paths: [path] });
  await follower.lines(1);
  follower.stop();
  // The state as an older file on this inode would have left it.
  for (const [key, state] of follower.journal)
    if (state.path === path) follower.journal.set(key, { ...state, birth: String(BigInt(state.birth) - 1n) });
  await follower.restart();
  await follower.lines(2);
  expect(follower.seen).toEqual(split(content + content));
});

test("5. rsyslog#2659: renamed, compressed, unlinked; the new log takes the inode", async () => {
  const first = some(50);
  writeFileSync(path, first);
  const follower = await follow({ paths: [path], maxOpenFiles: 1 });
  await follower.lines(50);
  follower.stop();
  const rest = some(50);
  appendFileSync(path, rest);
  renameSync(path, `${path}.1`);
  writeFileSync(`${path}.1.gz`, gzipSync(readFileSync(`${path}.1`)));
  unlinkSync(`${path}.1`);
  const fresh = some(80);
  writeFileSync(path, fresh);
  await follower.restart();
  await follower.lines(180);
  await follower.quiet(50);
  expect(follower.seen).toEqual(split(first + rest + fresh));
});

for (const grown of [false, true]) {
  test(`6. opentelemetry-collector-contrib#43693: identical 1.2 KB header and copytruncate${grown ? ", grown past the old position between two polls" : ""}`, async () => {
    const header = `${"header ".repeat(170)}\n`;
    const first = header + some(20);
    writeFileSync(path, first);
    const follower = await follow({ paths: [path] });
    await follower.lines(21);
    const unread = some(5);
    appendFileSync(path, unread);
    copyFileSync(path, `${path}.1`);
    truncateSync(path, 0);
    const fresh = header + some(grown ? 500 : 3);
    appendFileSync(path, fresh);
    const all = split(first + unread + fresh);
    await follower.lines(all.length);
    await follower.quiet(50);
    expect(follower.seen).toEqual(all);
  });
}

test("7. vector#23619: truncated and rewritten longer: nothing of the old again, the new whole", async () => {
  const old = some(100);
  writeFileSync(path, old);
  const follower = await follow({ paths: [path] });
  await follower.lines(100);
  const fresh = some(300);
  writeFileSync(path, fresh);
  await follower.lines(400);
  await follower.quiet(50);
  expect(follower.seen).toEqual(split(old + fresh));
  expect(follower.events.some((event) => event.name === "file-truncated")).toBe(true);
});

test("8. beats#51766: too few descriptors in discovery do not look like deletion", async () => {
  const names = Array.from({ length: 200 }, (_, i) => join(dir, `${String(i).padStart(3, "0")}.log`));
  const written = names.map((name) => some(3, name));
  names.forEach((name, i) => {
    writeFileSync(name, written[i]!);
  });
  let open = 0;
  let refused = 0;
  const fail = () => {
    refused++;
    throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
  };
  const scarce: Fs = {
    ...nodeFs,
    open(name) {
      if (open >= 20) fail();
      const fd = nodeFs.open(name);
      if (fd !== null) open++;
      return fd;
    },
    close(fd) {
      open--;
      nodeFs.close(fd);
    },
    readdir: (name) => (open >= 18 ? fail() : nodeFs.readdir(name)) as ReturnType<Fs["readdir"]>,
  };
  const follower = await follow({ paths: [join(dir, "*.log")], maxOpenFiles: 1000 }, scarce);
  await follower.lines(600);
  names.forEach((name, i) => {
    const more = some(1, name);
    written[i] += more;
    appendFileSync(name, more);
  });
  await follower.lines(800);
  await follower.quiet(50);
  expect(refused).toBeGreaterThan(0);
  expect(follower.seen.toSorted()).toEqual(written.flatMap(split).sort());
  expect(follower.events.filter(({ name }) => name === "file-renamed" || name === "file-truncated")).toEqual([]);
}, 30_000);

test("9. beats#50738: a file with unacknowledged lines is never closed; reopened, it goes on where it was", async () => {
  const names = ["a", "b", "c", "d"].map((name) => join(dir, `${name}.log`));
  for (const name of names) writeFileSync(name, some(2, name));
  const follower = await follow({ paths: [join(dir, "*.log")], maxOpenFiles: 2 });
  follower.settling = false;
  await follower.quiet(60);
  expect(follower.seen).toHaveLength(4);
  unlinkSync(names[0]!);
  follower.settleAll();
  await follower.lines(8);
  follower.settleAll();
  follower.settling = true;
  for (const name of names.slice(1)) appendFileSync(name, some(1, name));
  await follower.lines(11);
  follower.settleAll();
  expect(new Set(follower.seen).size).toBe(11);
});

test("10. beats#46923: a write in the moment an idle file is closed", async () => {
  const names = ["a", "b", "c"].map((name) => join(dir, `${name}.log`));
  for (const name of names) writeFileSync(name, some(1, name));
  let closes = 0;
  const racy: Fs = {
    ...nodeFs,
    close(fd) {
      const stat = nodeFs.fstat(fd);
      for (const name of names)
        if (nodeFs.stat(name)?.ino === stat.ino && closes < 50) {
          closes++;
          appendFileSync(name, some(1, name));
        }
      nodeFs.close(fd);
    },
  };
  const follower = await follow({ paths: [join(dir, "*.log")], maxOpenFiles: 1 }, racy);
  await follower.quiet(300);
  await follower.until(
    () => follower.seen.length >= 3 + closes,
    () => `${3 + closes} lines, got ${follower.seen.length}`,
  );
  expect(closes).toBeGreaterThan(0);
  const written = names.flatMap((name) => split(readFileSync(name, "utf8")));
  expect(follower.seen.toSorted()).toEqual(written.sort());
});

test("12. fluent-bit#11265: half a line, a stop, the other half, a start: one line", async () => {
  writeFileSync(path, "first\npar");
  const follower = await follow({ paths: [path] });
  await follower.lines(1);
  await follower.quiet(50);
  follower.stop();
  appendFileSync(path, "tial\n");
  await follower.restart();
  await follower.lines(2);
  expect(follower.seen).toEqual(["first", "partial"]);
});

test("13. loki#2353, alloy#3193, opentelemetry-collector-contrib#40523, beats#43649: renamed and compressed inside the glob while down", async () => {
  const first = some(100);
  writeFileSync(path, first);
  const follower = await follow({ paths: [`${path}*`] });
  await follower.lines(100);
  follower.stop();
  const rest = some(20);
  appendFileSync(path, rest);
  renameSync(path, `${path}.2`);
  writeFileSync(`${path}.2.gz`, gzipSync(readFileSync(`${path}.2`)));
  unlinkSync(`${path}.2`);
  const middle = some(30);
  writeFileSync(`${path}.1`, middle);
  const fresh = some(10);
  writeFileSync(path, fresh);
  await follower.restart();
  await follower.lines(160);
  await follower.quiet(60);
  follower.stop();
  renameSync(`${path}.2.gz`, `${path}.3.gz`);
  renameSync(`${path}.1`, `${path}.2`);
  await follower.restart();
  await follower.quiet(60);
  expect(follower.seen).toEqual(split(first + rest + middle + fresh));
});

test("14. vector#21998, #8591, beats#2395: the bytes of deleted files are held up to a cap, and drops are counted", async () => {
  const follower = await follow({ paths: [path], maxHeldBytes: 100_000, watch: true });
  // Nobody has room: files are looked at and not read.
  for (let i = 0; i < 10; i++) {
    writeFileSync(path, `${String(i).repeat(99)}\n`.repeat(400));
    await tend(follower, 60);
    unlinkSync(path);
    await tend(follower, 60);
  }
  await tend(follower, 300);
  const lost = follower.events.filter(({ name }) => name === "bytes-lost").reduce((sum, { bytes }) => sum + bytes!, 0);
  expect(lost).toBe(320_000);
  await follower.lines(800);
  await follower.quiet(50);
  expect(new Set(follower.seen)).toEqual(new Set(["8".repeat(99), "9".repeat(99)]));
});

async function tend({ tailer }: Follower, ms: number): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; await Bun.sleep(2)) tailer.tend!();
}

test("15. fluent-bit#3117, logrotate#363: a writer without O_APPEND leaves a gigabyte of NULs: skipped at little cost", async () => {
  const fd = openSync(path, "w");
  writeSync(fd, "before\n");
  const follower = await follow({ paths: [path] });
  await follower.lines(1);
  ftruncateSync(fd, 0);
  writeSync(fd, "after\n", 2 ** 30);
  const start = process.cpuUsage();
  await follower.lines(2);
  writeSync(fd, "later\n", 2 ** 30 + 6);
  await follower.lines(3);
  closeSync(fd);
  const { user, system } = process.cpuUsage(start);
  expect(follower.seen).toEqual(["before", "after", "later"]);
  expect([...follower.tailer.files()].at(-1)!.position).toBe(2 ** 30 + 12);
  expect((user + system) / 1e6).toBeLessThan(20); // seconds of CPU; reading it byte by byte takes minutes
});

test("a stat that hangs stops no other file", async () => {
  const hung = join(dir, "nfs/hung.log");
  writeFileSync(path, "one\n");
  const fs: Fs = {
    ...nodeFs,
    traits: (name) => (name.includes("/nfs") ? { network: true, stable: false } : nodeFs.traits(name)),
    statLater: (name) => (name === hung ? new Promise(() => {}) : nodeFs.statLater(name)),
  };
  const tailer = createTailer(
    { ...defaults, paths: [path, hung], from: "beginning" },
    { fs, clock: systemClock, random: Math.random },
  );
  void tailer.start([]);
  const seen: string[] = [];
  const end = performance.now() + 10_000;
  while (seen.length < 2 && performance.now() < end) {
    const lines = tailer.next();
    if (lines) {
      seen.push(Buffer.from(lines.bytes.subarray(lines.starts[0], lines.ends[0])).toString());
      if (seen.length === 1) appendFileSync(path, "two\n");
    } else await Bun.sleep(5);
  }
  tailer.close();
  expect(seen).toEqual(["one", "two"]);
  expect(existsSync(path)).toBe(true);
});

for (const further of [0, 3])
  test(`a copy is known though its original is truncated while they are compared, ${further} lines after it`, async () => {
    const path = join(dir, "app.log");
    let armed = false;
    const fs: Fs = {
      ...nodeFs,
      open(name) {
        if (armed && name === `${path}.1`) {
          armed = false;
          truncateSync(path);
        }
        return nodeFs.open(name);
      },
    };
    const lines = Array.from({ length: 200 }, (_, i) => `line ${i} ${"x".repeat(60)}`);
    const text = (some: string[]) => some.map((line) => `${line}\n`).join("");
    writeFileSync(path, text(lines.slice(0, 200 - further)));
    const follower = await Follower.start({ paths: [`${path}*`], from: "beginning" }, fs);
    await follower.lines(200 - further);
    const copied = readFileSync(path);
    appendFileSync(path, text(lines.slice(200 - further)));
    await follower.lines(200);
    armed = true;
    writeFileSync(`${path}.1`, copied);
    await follower.event("file-truncated");
    appendFileSync(path, "fresh\n");
    await follower.lines(201);
    await follower.quiet(100);
    follower.stop();
    expect(armed).toBe(false);
    expect(follower.seen).toEqual([...lines, "fresh"]);
  });

test("what an empty file got before its first read is read from the copy, though the look at it is not due yet", async () => {
  writeFileSync(path, "");
  const follower = await follow({ paths: [path], pollMin: 60_000, pollMax: 60_000 });
  appendFileSync(path, "copied\n");
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
  appendFileSync(path, "kept\n");
  await follower.lines(2);
  await follower.quiet(50);
  expect(follower.seen).toEqual(["copied", "kept"]);
});
