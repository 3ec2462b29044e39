/** Compressed files that are damaged, cut, followed by something else, or made to fill memory. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import { decompressPrefix, decompressWhole, openCompressed } from "../../src/tail/source/compressed.ts";
import { type Codec, Decoder } from "../../src/tail/source/decoder.ts";
import { Follower } from "./follower.ts";

let dir: string;
let follower: Follower | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-archives-"));
});
afterEach(() => {
  follower?.stop();
  follower = null;
  rmSync(dir, { recursive: true, force: true });
});

const formats = [
  { codec: "gzip", ending: "gz", compress: (bytes: Buffer) => gzipSync(bytes) },
  { codec: "zstd", ending: "zst", compress: (bytes: Buffer) => zstdCompressSync(bytes) },
] as const;

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `line ${from + i} ${Math.imul(from + i, 2_654_435_761) >>> 0}`);
const text = (from: number, to: number) => Buffer.from(`${lines(from, to).join("\n")}\n`);

/** All that `--once` sends of a file, and what it says is lost. */
async function readOnce(name: string, content: Buffer): Promise<{ seen: string[]; lost: (number | undefined)[] }> {
  const path = join(dir, name);
  writeFileSync(path, content);
  follower = await Follower.start({ paths: [path], from: "beginning", once: true });
  await follower.until(
    () => follower!.tailer.finished,
    () => "the end",
  );
  const { seen, events } = follower;
  follower.stop();
  return { seen, lost: events.filter((event) => event.name === "bytes-lost").map((event) => event.bytes) };
}

for (const { codec, ending, compress } of formats) {
  const name = `app.log.1.${ending}`;

  test(`${codec}: what is before garbage is sent, the garbage is counted with its place`, async () => {
    for (const count of [2, 30_000]) {
      const good = compress(text(0, count));
      const { seen, lost } = await readOnce(name, Buffer.concat([good, Buffer.from("garbage")]));
      expect(seen).toEqual(lines(0, count));
      expect(lost).toEqual([7]);
      const said = follower!.events.find((event) => event.name === "bytes-lost")!.message;
      expect(said).toContain(`7 compressed bytes from ${good.length} on`);
    }
  });

  test(`${codec}: what is before damage is sent, and what follows is counted`, async () => {
    const good = compress(text(0, 60_000));
    const place = good.length >> 1;
    const bad = Buffer.from(good);
    bad.fill(0xaa, place, place + 64);
    const { seen, lost } = await readOnce(name, bad);
    // Some kilobytes of a block are decoded together, and garbage may look like content for a while.
    expect(seen.slice(0, 20_000)).toEqual(lines(0, 20_000));
    expect(lost).toHaveLength(1);
    expect(lost[0]!).toBeGreaterThan(0);
    expect(lost[0]!).toBeLessThan(good.length - place + 200_000);
  });

  test(`${codec}: what is there of a file that is cut is sent, and --once says that it is cut`, async () => {
    const good = compress(text(0, 60_000));
    const { seen, lost } = await readOnce(name, good.subarray(0, good.length - 5));
    expect(seen.length).toBeGreaterThan(50_000);
    expect(seen).toEqual(lines(0, 60_000).slice(0, seen.length));
    expect(lost).toEqual([0]);
  });

  test(`${codec}: several members are one file; zeros behind the last one of gzip are padding`, async () => {
    const both = Buffer.concat([compress(text(0, 20_000)), compress(text(20_000, 40_000))]);
    expect(await readOnce(name, both)).toEqual({ seen: lines(0, 40_000), lost: [] });
    if (codec !== "gzip") return;
    expect(await readOnce(name, Buffer.concat([both, Buffer.alloc(2000)]))).toEqual({
      seen: lines(0, 40_000),
      lost: [],
    });
    const behind = await readOnce(name, Buffer.concat([both, Buffer.alloc(2000), Buffer.from("tail")]));
    expect(behind).toEqual({ seen: lines(0, 40_000), lost: [4] });
  });

  test(`${codec}: a file that is still being written is read as it comes, whole and once`, async () => {
    const path = join(dir, name);
    const whole = compress(text(0, 60_000));
    writeFileSync(path, whole.subarray(0, 1000));
    follower = await Follower.start({ paths: [path], from: "beginning" });
    for (let at = 1000; at < whole.length; at += 150_000) {
      appendFileSync(path, whole.subarray(at, at + 150_000));
      await follower.quiet(60);
    }
    await follower.lines(60_000);
    expect(follower.seen).toEqual(lines(0, 60_000));
    expect(follower.events.filter((event) => event.name === "bytes-lost")).toEqual([]);
  });

  test(`${codec}: a bomb comes out in small pieces, and what is not asked for does not come out`, () => {
    const frame = compress(Buffer.alloc(64 << 20, "x"));
    const bomb = Buffer.concat(Array.from({ length: 8 }, () => frame));
    expect(bomb.length).toBeLessThan(600_000);
    const decoder = new Decoder(codec, (position, length) => bomb.subarray(position, position + length));
    let total = 0;
    for (let part = decoder.step(); part !== null; part = decoder.step()) {
      expect(part.length).toBeLessThanOrEqual(65_536);
      total += part.length;
    }
    expect(total).toBe(512 << 20);
    decoder.close();
    expect(decompressPrefix(codec, bomb.subarray(0, 65_536)).length).toBeLessThanOrEqual(4 << 20);
    const path = join(dir, name);
    writeFileSync(path, bomb);
    const fd = openSync(path, "r");
    expect(decompressWhole(nodeFs, fd, codec, statSync(path).size)).toBeNull();
    closeSync(fd);
    const source = openCompressed(nodeFs, openSync(path, "r"), codec, () => {});
    const target = Buffer.alloc(262_144);
    expect(source.read(target, 0, target.length, 0)).toBe(target.length);
    expect(source.size()).toBeLessThanOrEqual(2 * target.length);
    source.close();
  });

  test(`${codec}: a source gives what lies before, and never other bytes for it`, async () => {
    const content = text(0, 400_000);
    const path = join(dir, name);
    writeFileSync(path, compress(content));
    let wake = () => {};
    const source = openCompressed(nodeFs, openSync(path, "r"), codec as Codec, () => wake());
    const target = Buffer.alloc(100_000);
    for (const position of [0, 4_000_000, 3_999_936, 5_000_000, 70, content.length - 50_000]) {
      let n = source.read(target, 0, target.length, position);
      while (n < 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        n = source.read(target, 0, target.length, position);
      }
      expect(target.subarray(0, n).equals(content.subarray(position, position + 100_000))).toBe(true);
    }
    expect(source.closed).toBe(true);
    source.close();
  });
}

const foreign = [
  { ending: "xz", bytes: Buffer.concat([Buffer.from("\xfd7zXZ\0", "latin1"), Buffer.from("\0\x04\nbinary\nlines\n")]) },
  { ending: "bz2", bytes: Buffer.from("BZh91AY&SY\nbinary\nlines\n") },
];

for (const { ending, bytes } of foreign) {
  test(`${ending}: no byte of it is sent as a line; it is said once`, async () => {
    const name = `app.log.1.${ending}`;
    expect(await readOnce(name, bytes)).toEqual({ seen: [], lost: [] });
    expect(follower!.events.filter((event) => event.name === "archive-unread")).toMatchObject([
      { level: "warn", bytes: bytes.length },
    ]);
    rmSync(join(dir, name));
    const log = join(dir, "app.log");
    writeFileSync(log, "one\ntwo\n");
    follower = await Follower.start({ paths: [join(dir, "app.log*")], from: "beginning" });
    await follower.lines(2);
    writeFileSync(join(dir, name), bytes);
    await follower.quiet(100);
    appendFileSync(log, "three\n");
    await follower.lines(3);
    follower.stop();
    await follower.restart();
    appendFileSync(log, "four\n");
    await follower.lines(4);
    await follower.quiet(100);
    expect(follower.seen).toEqual(["one", "two", "three", "four"]);
    expect(follower.events.filter((event) => event.name === "bytes-lost")).toHaveLength(0);
    expect(follower.events.filter((event) => event.name === "archive-unread")).toHaveLength(1);
  });

  test(`${ending}: what was rotated into it while nobody watched is said to be lost`, async () => {
    const log = join(dir, "app.log");
    writeFileSync(log, "one\ntwo\n");
    follower = await Follower.start({ paths: [join(dir, "app.log*")], from: "beginning" });
    await follower.lines(2);
    follower.stop();
    rmSync(log);
    writeFileSync(join(dir, `app.log.1.${ending}`), bytes);
    writeFileSync(log, "new\n");
    await follower.restart();
    await follower.lines(3);
    await follower.quiet(100);
    expect(follower.seen).toEqual(["one", "two", "new"]);
    const names = follower.events.map(({ name }) => name);
    expect(names.filter((name) => name === "file-gone")).toHaveLength(1);
    expect(names.filter((name) => name === "archive-unread")).toHaveLength(1);
  });
}
