/** The real logrotate, with a writer that writes all the time, while the agent runs and while it is stopped. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { Follower } from "./follower.ts";

const logrotate = Bun.which("logrotate") ?? ["/usr/sbin/logrotate"].find((path) => existsSync(path));
const rotations = logrotate ? test : test.skip; // Debian package logrotate

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "logagent-rotate-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Writes about 1,000 lines a second, reopening the path as a daemon does that is told to by postrotate. */
class Writer {
  written = 0;
  readonly #path: string;
  readonly #timer: ReturnType<typeof setInterval>;
  #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "a");
    this.#timer = setInterval(() => {
      this.write(10);
      if (!existsSync(`${path}.reopen`)) return;
      this.reopen();
      rmSync(`${path}.reopen`);
    }, 10);
  }

  write(lines: number): void {
    for (let i = 0; i < lines; i++) writeSync(this.#fd, `line ${this.written++} ${"x".repeat(60)}\n`);
  }

  reopen(): void {
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "a");
  }

  stop(): void {
    clearInterval(this.#timer);
    closeSync(this.#fd);
  }
}

interface Case {
  name: string;
  config: string;
  pattern?: string;
  /** Rotation loses what is written between its copy and its truncation. */
  lossy?: boolean;
}

const cases: Case[] = [
  { name: "create", config: "rotate 20\ncreate" },
  { name: "create, rotated names match too", config: "rotate 20\ncreate", pattern: "app.log*" },
  { name: "copytruncate", config: "rotate 20\ncopytruncate", lossy: true },
  {
    name: "copytruncate, rotated names match too",
    config: "rotate 20\ncopytruncate",
    pattern: "app.log*",
    lossy: true,
  },
  { name: "compress", config: "rotate 20\ncreate\ncompress" },
  { name: "compress, rotated names match too", config: "rotate 20\ncreate\ncompress", pattern: "app.log*" },
  { name: "delaycompress", config: "rotate 20\ncreate\ncompress\ndelaycompress" },
  { name: "copytruncate and compress", config: "rotate 20\ncopytruncate\ncompress", lossy: true },
  { name: "dateext", config: "rotate 20\ncreate\ndateext\ndateformat -%Y%m%d-%H%M%S" },
  {
    name: "dateext before the extension",
    config: "rotate 20\ncreate\ndateext\ndateformat -%Y%m%d-%H%M%S\nextension .log",
  },
  { name: "size", config: "rotate 20\nsize 1k\ncreate" },
];

for (const { name, config, pattern = "app.log", lossy = false } of cases) {
  rotations(
    `logrotate ${name}: every line once, in order, with the agent running and stopped`,
    async () => {
      const path = join(dir, "app.log");
      const conf = join(dir, "logrotate.conf");
      mkdirSync(join(dir, "state"));
      writeFileSync(path, "");
      // As a daemon is told by its script to write to the new file, before anything is compressed.
      const script = `postrotate\ntouch ${path}.reopen; while [ -e ${path}.reopen ]; do sleep 0.01; done\nendscript`;
      const date = config.includes("dateext") ? "" : "nodateext\n";
      writeFileSync(conf, `${path} {\n${config}\n${date}missingok\n${lossy ? "" : script}\n}\n`);
      const writer = new Writer(path);
      const rotate = async () => {
        const process = Bun.spawn(
          [logrotate!, "-s", join(dir, "state/s"), ...(config.includes("size") ? [] : ["-f"]), conf],
          { stderr: "pipe" },
        );
        expect(`${await process.exited} ${await new Response(process.stderr).text()}`).toMatch(/^0 /);
      };
      const dated = config.includes("dateext");
      const follower = await Follower.start({ paths: [join(dir, pattern)], from: "beginning", watch: true });
      await follower.quiet(200);
      for (let i = 0; i < 2; i++) {
        await Promise.all([rotate(), follower.quiet(dated ? 1100 : 300)]);
        await follower.quiet(150);
      }
      follower.stop();
      for (let i = 0; i < 2; i++) {
        await Bun.sleep(dated ? 1050 : 150);
        await rotate();
      }
      await Bun.sleep(dated ? 1050 : 50);
      await follower.restart();
      await Promise.all([rotate(), follower.quiet(300)]);
      writer.stop();
      appendFileSync(path, "end\n");
      await follower.until(
        () => follower.seen.includes("end"),
        () => `the end; ${follower.events.map((e) => e.message).join("\n")}`,
      );
      await follower.quiet(300);
      follower.stop();
      const seen = follower.seen
        .filter((line) => line !== "end")
        .map((line) => Number(/^line (\d+) x{60}$/.exec(line)?.[1]));
      const odd = seen.findIndex((number, i) => i > 0 && number <= seen[i - 1]!);
      const around = seen.slice(Math.max(0, odd - 2), odd + 4).join(" ");
      if (odd >= 0) throw new Error(`out of order: ${around}\n${follower.events.map((e) => e.message).join("\n")}`);
      if (!lossy) expect(seen.length).toBe(writer.written);
      // What was written between its copy and its truncation is gone, unless it was read in time.
      const arrived = new Set(seen);
      expect([...linesOnDisk(dir)].filter((number) => !arrived.has(number))).toEqual([]);
      expect(seen.length).toBeGreaterThan(writer.written / 2); // how much is gone depends on the machine
    },
    30_000,
  );
}

/** Numbered lines in all files of the directory, as a set. */
function linesOnDisk(directory: string): Set<number> {
  const numbers = new Set<number>();
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (!name.startsWith("app") || !statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    for (const match of (name.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString().matchAll(/^line (\d+) x{60}$/gm))
      numbers.add(Number(match[1]));
  }
  return numbers;
}
