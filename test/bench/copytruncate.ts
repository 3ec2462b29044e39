/**
 * What copytruncate loses: between its copy and its truncation lines are written that no file holds afterwards. Counts
 * the lines that could still be reached and those that arrived, with the real logrotate and with cp and truncate, while
 * the tailer runs and while it is stopped during every second rotation. `copytruncate.ts [ROTATIONS]`
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lines } from "../../src/lines.ts";
import { Follower } from "../tail/follower.ts";
import { table } from "./support/table.ts";

const rotations = Number(process.argv[2] ?? 10);
const rates = [100, 1000, 10_000, 50_000];
const logrotate = ["/usr/sbin/logrotate", "/usr/bin/logrotate"].find((path) => existsSync(path));

/** Counts how often each numbered line arrives. */
class Counter extends Follower {
  readonly arrived = new Map<number, number>();

  override take(lines: Lines): void {
    for (let i = 0; i < lines.count; i++) {
      const text = Buffer.from(lines.bytes.subarray(lines.starts[i], lines.ends[i])).toString();
      const number = Number(/^line (\d+) x{80}$/.exec(text)?.[1] ?? -1);
      this.arrived.set(number, (this.arrived.get(number) ?? 0) + 1);
    }
  }
}

type Rotate = (directory: string) => Promise<void>;

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`))));
  });
}

const tools: Record<string, Rotate> = {
  ...(logrotate
    ? {
        logrotate: (directory) =>
          run(logrotate, ["-f", "-s", join(directory, "state/s"), join(directory, "state/conf")]),
      }
    : {}),
  "cp, truncate": (directory) => {
    const move = "i=$((i-1)); [ ! -e app.log.$i ] || mv app.log.$i app.log.$((i+1))";
    const script = `cd "$1"; i=${rotations + 2}; while [ $i -gt 1 ]; do ${move}; done; cp app.log app.log.1; : > app.log`;
    return run("sh", ["-ec", script, "sh", directory]);
  },
};

async function measure(name: string, rotate: Rotate, rate: number, stopping: boolean): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), "logagent-copytruncate-"));
  const path = join(directory, "app.log");
  try {
    mkdirSync(join(directory, "state"));
    writeFileSync(path, "");
    const config = `${path} {\nrotate ${rotations + 1}\ncopytruncate\nnodateext\n}\n`;
    writeFileSync(join(directory, "state/conf"), config, { mode: 0o644 });
    const writer = spawn(process.execPath, [join(import.meta.dirname, "support/rate-writer.ts"), path, String(rate)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let count = "";
    writer.stdout.on("data", (text: Buffer) => {
      count += text.toString();
    });
    const written = new Promise<number>((resolve) => writer.on("close", () => resolve(Number(count))));
    const counter = new Counter({ paths: [path], from: "beginning", pollMin: 10, pollMax: 1000, watch: true });
    await counter.restart();
    for (let i = 0; i < rotations; i++) {
      await counter.quiet(300);
      const stop = stopping && i % 2 === 1;
      if (stop) counter.stop();
      await Promise.all([rotate(directory), stop ? null : counter.quiet(100)]);
      if (stop) await counter.restart();
    }
    await counter.quiet(200);
    writer.stdin.end();
    const lines = await written;
    for (let before = -1; before < counter.arrived.size; ) {
      before = counter.arrived.size;
      await counter.quiet(1500);
    }
    counter.stop();
    return row(name, rate, stopping, lines, directory, counter.arrived);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function row(
  name: string,
  rate: number,
  stopping: boolean,
  written: number,
  directory: string,
  arrived: ReadonlyMap<number, number>,
): string[] {
  const reachable = new Set<number>();
  for (const file of readdirSync(directory)) {
    if (!file.startsWith("app.log")) continue;
    const content = readFileSync(join(directory, file), "latin1");
    for (const match of content.matchAll(/^line (\d+) x{80}$/gm)) reachable.add(Number(match[1]));
  }
  const lost = [...reachable].filter((number) => !arrived.has(number)).length;
  const broken = arrived.get(-1) ?? 0;
  const repeated = [...arrived].reduce((sum, [number, times]) => sum + (number < 0 ? 0 : times - 1), 0);
  const whole = [...arrived.keys()].filter((number) => number >= 0);
  const early = whole.filter((number) => !reachable.has(number)).length;
  return [
    name,
    stopping ? "stopped at every 2nd" : "running",
    ...[rate, written, reachable.size, written - reachable.size, early, whole.length, lost, repeated, broken].map(
      String,
    ),
  ];
}

const rows: string[][] = [];
for (const [name, rotate] of Object.entries(tools))
  for (const stopping of [false, true])
    for (const rate of rates) rows.push(await measure(name, rotate, rate, stopping));
const { stdout = "", stderr = "" } = logrotate ? spawnSync(logrotate, ["--version"], { encoding: "utf8" }) : {};
const version = (stdout || stderr).split("\n")[0] || "no logrotate";
console.log(`${rotations} rotations each, about 90 bytes a line; ${version}\n`);
const head = ["rotated by", "tailer", "lines/s", "written", "reachable", "in no file", "of these arrived"];
console.log(table([...head, "arrived", "lost although reachable", "repeated", "broken"], rows));
