/**
 * What following files costs: idle CPU, memory and descriptors with 1 and with 10,000 files, the time to the first line
 * of a new file, latency of an append, and the speed of reading and finding lines. Prints a table; nothing is asserted.
 * `bun test/bench/files.ts [seconds]`
 */
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/runtime.ts";
import { nodeFs } from "../../src/tail/fs/fs.ts";
import { createTailer } from "../../src/tail/tailer.ts";
import type { Tailer, TailOptions } from "../../src/tail/types.ts";
import { defaults } from "../tail/follower.ts";

const seconds = Number(process.argv[2] ?? 10);
const root = mkdtempSync(join(tmpdir(), "logagent-bench-files-"));
const rows: Record<string, string | number>[] = [];

/** Runs a tailer as the agent does: until something is due, asleep. */
class Loop {
  readonly tailer: Tailer;
  onLine: (text: string) => void = () => {};
  #stopped = false;
  #wake: () => void = () => {};

  constructor(options: Partial<TailOptions>) {
    this.tailer = createTailer(
      { ...defaults, pollMin: 10, pollMax: 1000, watch: true, maxOpenFiles: 1000, ...options },
      { fs: nodeFs, clock: systemClock, random: Math.random },
    );
    this.tailer.onWake(() => this.#wake());
  }

  async start(): Promise<void> {
    await this.tailer.start([]);
    void this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const lines = this.tailer.next();
      if (lines) {
        for (let i = 0; i < lines.count; i++)
          this.onLine(
            Buffer.from(
              lines.bytes.buffer,
              lines.bytes.byteOffset + lines.starts[i]!,
              lines.ends[i]! - lines.starts[i]!,
            ).toString(),
          );
        this.tailer.settled(lines.file, lines.to);
        continue;
      }
      const wait = this.tailer.wait();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(wait, 1000));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#wake();
    this.tailer.close();
  }
}

async function idle(count: number, watch: boolean): Promise<void> {
  const dir = join(root, `idle-${count}-${watch}`);
  mkdirSync(dir);
  for (let i = 0; i < count; i++) writeFileSync(join(dir, `${i}.log`), `one line in file ${i}\n`);
  const loop = new Loop({ paths: [join(dir, "*.log")], watch });
  const began = performance.now();
  await loop.start();
  const start = performance.now() - began;
  await Bun.sleep(6000); // until the intervals have grown
  const cpu = process.cpuUsage();
  const from = performance.now();
  await Bun.sleep(seconds * 1000);
  const used = process.cpuUsage(cpu);
  const percent = ((used.user + used.system) / 1000 / (performance.now() - from)) * 100;
  const memory = Math.round(process.memoryUsage.rss() / 1e6);
  const fds = readdirSync("/proc/self/fd").length;

  const latencies: number[] = [];
  const arrivals: number[] = [];
  let wanted = "";
  let arrived: () => void = () => {};
  loop.onLine = (text) => text === wanted && arrived();
  for (let i = 0; i < 20; i++) {
    for (const [path, list] of [
      [join(dir, `${i % count}.log`), latencies],
      [join(dir, `new-${i}.log`), arrivals],
    ] as const) {
      const done = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      wanted = `line ${i} in ${path}`;
      const at = performance.now();
      appendFileSync(path, `${wanted}\n`);
      await done;
      list.push(performance.now() - at);
      await Bun.sleep(100);
    }
  }
  loop.stop();
  rmSync(dir, { recursive: true });
  rows.push({
    files: count,
    events: watch ? "yes" : "no",
    "start ms": round(start),
    "idle CPU %": percent.toFixed(2),
    "RSS MB": memory,
    descriptors: fds,
    "append p50/max ms": stats(latencies),
    "new file p50/max ms": stats(arrivals),
  });
}

/** Lines per second of reading and finding lines alone. */
async function scan(): Promise<void> {
  const path = join(root, "big.log");
  const line = `${"x".repeat(199)}\n`;
  for (let i = 0; i < 100; i++) appendFileSync(path, line.repeat(10_000));
  for (let run = 0; run < 3; run++) {
    const tailer = createTailer(
      { ...defaults, paths: [path], from: "beginning" },
      { fs: nodeFs, clock: systemClock, random: Math.random },
    );
    await tailer.start([]);
    const from = performance.now();
    const cpu = process.cpuUsage();
    let count = 0;
    while (count < 1_000_000) {
      const lines = tailer.next();
      if (!lines) continue;
      count += lines.count;
      tailer.settled(lines.file, lines.to);
    }
    const { user, system } = process.cpuUsage(cpu);
    console.log(
      `scan: ${(count / (performance.now() - from) / 1000).toFixed(2)} M lines/s of 200 B; CPU ${((user + system) / 1e6).toFixed(3)} s per 1 M`,
    );
    tailer.close();
  }
}

const round = (n: number) => Math.round(n * 10) / 10;

function stats(list: number[]): string {
  const sorted = list.toSorted((a, b) => a - b);
  return `${round(sorted[sorted.length >> 1]!)} / ${round(sorted.at(-1)!)}`;
}

try {
  await scan();
  for (const [count, watch] of [
    [1, true],
    [1, false],
    [10_000, true],
    [10_000, false],
  ] as const)
    await idle(count, watch);
  console.table(rows);
} finally {
  rmSync(root, { recursive: true, force: true });
}
