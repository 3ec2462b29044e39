/**
 * `logagent tail` while a file grows and while nothing happens: append → readable, processor time and memory at 100 and
 * at 10,000 lines/s, idle with 1 and with 10,000 files; beside rsyslog (imfile + omkafka) and the budgets.
 * `--only live,idle` chooses, `--seconds N` is the length of each measurement, `--warmup N` what goes before it.
 */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { binary } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { monotonicMicros } from "./support/clock.ts";
import { descriptorLimit, type Follower, logagentTail, rsyslog, type Started } from "./support/followers.ts";
import { type BenchKafka, benchKafka } from "./support/kafka.ts";
import { LatencyReader, LatencyWriter } from "./support/latency.ts";
import { machine } from "./support/machine.ts";
import { usageDuring } from "./support/meter.ts";
import { megabytes, millis, percent, ratio, table } from "./support/table.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    // An agent runs for months: what its compilers do in the first seconds is no part of that.
    warmup: { type: "string", default: "20" },
    rates: { type: "string", default: "100,10000" },
    files: { type: "string", default: "1,10000" },
    only: { type: "string", default: "live,idle" },
    // "app-N.log" makes them generations of one log by their names.
    names: { type: "string", default: "N-app.log" },
    agents: { type: "string", default: "" },
    partitions: { type: "string", default: "4" },
    brokers: { type: "string" },
  },
});
const milliseconds = Number(values.seconds) * 1000;
/** Idle files are looked at every 4.096 s: how many such rounds a measurement catches must not be chance. */
const idleRound = 2 * 4096;

/** Milliseconds, share of a core, bytes. */
interface Budget {
  p50?: number;
  p99?: number;
  share?: number;
  rss: number;
}

interface Candidate {
  follower: Follower;
  live(rate: number): Budget | null;
  idle(files: number): Budget | null;
}

const idleBudget = (files: number): Budget => ({ share: files === 1 ? 0.003 : 0.02, rss: 50e6 });

function candidates(): Candidate[] {
  const list: Candidate[] = [
    {
      follower: logagentTail("logagent, at-least-once"),
      live: (rate) => ({ p50: 6, p99: 15, rss: 60e6, ...(rate === 10_000 ? { share: 0.03 } : {}) }),
      idle: idleBudget,
    },
    {
      follower: logagentTail("logagent, at-least-once, linger 200 ms", "--linger", "200ms"),
      live: (rate) => ({ rss: 60e6, ...(rate === 10_000 ? { share: 0.015 } : {}) }),
      idle: () => null,
    },
    {
      follower: logagentTail("logagent, exactly-once", "--delivery", "exactly-once"),
      live: () => ({ p99: 500, rss: 60e6 }),
      idle: idleBudget,
    },
  ];
  const other = rsyslog(5);
  if (typeof other === "string") console.log(`without rsyslog: ${other}`);
  else list.push({ follower: other, live: () => null, idle: () => null });
  return list.filter(({ follower }) => values.agents === "" || new RegExp(values.agents).test(follower.name));
}

/** Runs `body` with the follower started on `files` of a new directory, a new topic and a reader at its end. */
async function follow<T>(
  kafka: BenchKafka,
  follower: Follower,
  prepare: (dir: string) => string,
  body: (started: Started, reader: LatencyReader, dir: string) => Promise<T>,
): Promise<T> {
  const dir = tempDir("agent");
  const [logs, own] = [join(dir, "logs"), join(dir, "own")];
  mkdirSync(logs);
  mkdirSync(own);
  const topic = await kafka.topic(Number(values.partitions));
  const files = prepare(logs);
  const reader = await new LatencyReader(kafka.brokers, topic, follower.committed ?? false).ready();
  const started = follower.start({ files, brokers: kafka.brokers, topic, dir: own });
  try {
    const result = await body(started, reader, logs);
    started.check();
    return result;
  } catch (error) {
    started.check();
    throw error;
  } finally {
    await started.stop();
    await reader.stop();
    await kafka.remove(topic);
    removeDir(dir);
  }
}

async function live(kafka: BenchKafka, { follower, live }: Candidate, rate: number): Promise<string[]> {
  const prepare = (dir: string) => {
    writeFileSync(join(dir, "live.log"), "");
    return join(dir, "live.log");
  };
  return follow(kafka, follower, prepare, async (started, reader, dir) => {
    await pause(1500);
    const writer = new LatencyWriter(join(dir, "live.log"), rate);
    await reader.first();
    await pause(Number(values.warmup) * 1000);
    const from = monotonicMicros();
    const used = await usageDuring(started.pid, milliseconds);
    const to = monotonicMicros();
    await writer.stop();
    await pause(1000);
    const { p50, p99, max, count, lost, repeated } = await reader.latency(from, to);
    const measured = { p50, p99, share: used.share, rss: used.rss };
    return [
      follower.name,
      String(rate),
      (count / used.wall).toFixed(0),
      millis(p50),
      millis(p99),
      millis(max),
      percent(used.share),
      share(used.share),
      `${megabytes(used.rss)} (${megabytes(used.anonymous)})`,
      used.sleepsPerSecond.toFixed(0),
      `${lost} / ${repeated}`,
      ...judge(live(rate), measured),
    ];
  });
}

async function idle(kafka: BenchKafka, { follower, idle }: Candidate, files: number): Promise<string[]> {
  const path = (dir: string, number: number) => join(dir, values.names.replace("N", String(number)));
  const prepare = (dir: string) => {
    for (let i = 0; i < files; i++) writeFileSync(path(dir, i), `the only line of file ${i}\n`);
    return join(dir, "*.log");
  };
  return follow(kafka, follower, prepare, async (started, reader, dir) => {
    let number = 0;
    const append = (file: number) => {
      appendFileSync(path(dir, file), `${monotonicMicros().toFixed(0)} ${number++} idle\n`);
    };
    /** Ten lines, one after the other, each to another file. */
    const probe = async (fileOf: (i: number) => number) => {
      const from = monotonicMicros();
      for (let i = 0; i < 10; i++) {
        append(fileOf(i));
        await pause(250 + Math.random() * 250);
      }
      await pause(2000);
      return reader.latency(from, monotonicMicros());
    };
    const began = performance.now();
    const ready = reader.first();
    const knock = setInterval(() => append(0), 250);
    await ready.finally(() => clearInterval(knock));
    const start = performance.now() - began;
    await pause(Number(values.warmup) * 1000);
    const used = await usageDuring(started.pid, Math.ceil(milliseconds / idleRound) * idleRound);
    const known = await probe((i) => Math.floor((files * (i + 0.5)) / 10));
    const fresh = await probe((i) => files + i);
    const arrived = (latency: { count: number }) => (latency.count === 10 ? "" : ` (${latency.count} of 10)`);
    return [
      follower.name,
      String(files),
      percent(used.share),
      share(used.share),
      `${megabytes(used.rss)} (${megabytes(used.anonymous)})`,
      String(used.descriptors),
      used.sleepsPerSecond.toFixed(0),
      (start / 1000).toFixed(1),
      `${millis(known.p50)} / ${millis(known.max)}${arrived(known)}`,
      `${millis(fresh.p50)} / ${millis(fresh.max)}${arrived(fresh)}`,
      ...judge(idle(files), { share: used.share, rss: used.rss }),
    ];
  });
}

/** The budget in words, and what of it was missed. */
function judge(budget: Budget | null, measured: Required<Budget> | { share: number; rss: number }): [string, string] {
  if (!budget) return ["–", "–"];
  const words: string[] = [];
  const missed: string[] = [];
  const check = (name: keyof Budget, say: (value: number) => string) => {
    const limit = budget[name];
    const value = (measured as Required<Budget>)[name];
    if (limit === undefined) return;
    words.push(`${name === "share" ? "CPU" : name === "rss" ? "RSS" : name} ≤ ${say(limit)}`);
    if (!(value <= limit)) missed.push(`${words.at(-1)?.split(" ")[0]} ${(value / limit).toFixed(2)} ×`);
  };
  check("p50", (value) => `${value} ms`);
  check("p99", (value) => `${value} ms`);
  check("share", (value) => `${value * 100} %`);
  check("rss", (value) => `${value / 1e6} MB`);
  return [words.join(", "), missed.length === 0 ? "met" : `missed: ${missed.join(", ")}`];
}

/** Marks the cell that becomes the ratio to rsyslog's share of a core in the same group of rows. */
const mark = "share:";
const share = (value: number) => `${mark}${value}`;

function compare(group: string[][]): string[][] {
  const shareOf = (row: readonly string[]) => Number(row.find((cell) => cell.startsWith(mark))?.slice(mark.length));
  const reference = shareOf(group.find(([name]) => name?.startsWith("rsyslog")) ?? []);
  return group.map((row) =>
    row.map((cell) => {
      if (!cell.startsWith(mark)) return cell;
      return reference > 0 ? ratio(shareOf(row) / reference) : "–";
    }),
  );
}

/** A candidate that fails says so in its row; the others are measured all the same. */
async function rowOf(
  name: string,
  second: number,
  columns: number,
  measure: () => Promise<string[]>,
): Promise<string[]> {
  try {
    return await measure();
  } catch (error) {
    process.exitCode = 1;
    const reason = (error as Error).message.replaceAll(/\s+/g, " ");
    return [name, String(second), ...Array(columns - 3).fill("–"), `failed: ${reason}`];
  }
}

const liveHead = [
  "agent",
  "lines/s",
  "arrived/s",
  "p50 ms",
  "p99 ms",
  "max ms",
  "CPU of a core",
  "CPU : rsyslog",
  "RSS (anonymous) MB",
  "sleeps/s",
];
const idleHead = [
  "agent",
  "files",
  "CPU of a core",
  "CPU : rsyslog",
  "RSS (anonymous) MB",
  "descriptors",
  "sleeps/s",
  "ready s",
];
const liveColumns = [...liveHead, "lost / repeated", "budget", "verdict"];
const idleColumns = [...idleHead, "known file, p50 / max ms", "new file, p50 / max ms", "budget", "verdict"];

const list = candidates();
const kafka = await benchKafka(values.brokers);
try {
  console.log(`${machine(binary())}\n${values.partitions} partitions, acks=all, ${values.seconds} s each\n`);
  if (values.only.includes("live")) {
    const rows: string[][] = [];
    // The first is only for the broker's and the reader's compilers.
    if (list[0]) await live(kafka, list[0], 10_000).catch(() => {});
    for (const rate of values.rates.split(",").map(Number)) {
      const group: string[][] = [];
      for (const candidate of list) {
        const { name } = candidate.follower;
        group.push(await rowOf(name, rate, liveColumns.length, () => live(kafka, candidate, rate)));
      }
      rows.push(...compare(group));
    }
    console.log(`lines of 200 B appended to one file, append → readable\n\n${table(liveColumns, rows)}\n`);
  }
  if (values.only.includes("idle")) {
    const rows: string[][] = [];
    for (const files of values.files.split(",").map(Number)) {
      const group: string[][] = [];
      for (const candidate of list) {
        const { name } = candidate.follower;
        if (/linger 200/.test(name)) continue;
        const needed = candidate.follower.descriptors?.(files) ?? 0;
        if (needed > descriptorLimit()) {
          const reason = `skipped: needs ${needed} descriptors, ${descriptorLimit()} are allowed`;
          group.push([name, String(files), ...Array(idleColumns.length - 3).fill("–"), reason]);
          continue;
        }
        group.push(await rowOf(name, files, idleColumns.length, () => idle(kafka, candidate, files)));
      }
      rows.push(...compare(group));
    }
    console.log(`nothing is written; then ten lines to known files and to new ones\n\n${table(idleColumns, rows)}`);
  }
} finally {
  await kafka.stop();
}
