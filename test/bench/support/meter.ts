/** What a process and its children use, from /proc; and commands measured from start to end. Linux only. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { hasEnded, killAtExit } from "../../support/guard.ts";

export interface Usage {
  /** Seconds of user and system time so far. */
  cpu: number;
  /** Resident bytes now; those of them that are not pages of files, such as the executable's; most so far. */
  rss: number;
  anonymous: number;
  peak: number;
  descriptors: number;
  /** Voluntary context switches so far: how often a thread went to sleep. */
  sleeps: number;
}

/** Ticks per second of /proc/PID/stat (USER_HZ), fixed in Linux's ABI. */
const ticks = 100;

/** Of the process and all its descendants; zero where a process is gone. */
export function usageOf(pid: number): Usage {
  const sum: Usage = { cpu: 0, rss: 0, anonymous: 0, peak: 0, descriptors: 0, sleeps: 0 };
  for (const id of family(pid)) {
    const status = read(`/proc/${id}/status`);
    sum.cpu += cpuOf(id);
    sum.rss += kilobytes(status, "VmRSS");
    sum.anonymous += kilobytes(status, "RssAnon");
    sum.peak += kilobytes(status, "VmHWM");
    sum.descriptors += list(`/proc/${id}/fd`).length;
    for (const task of list(`/proc/${id}/task`)) {
      sum.sleeps += Number(
        /^voluntary_ctxt_switches:\s+(\d+)/m.exec(read(`/proc/${id}/task/${task}/status`))?.[1] ?? 0,
      );
    }
  }
  return sum;
}

/** `stat` counts in ticks of 10 ms but keeps ended threads; `schedstat` counts nanoseconds of the living ones. */
function cpuOf(pid: number): number {
  const fields = read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, "")
    .split(" ");
  const rough = (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticks;
  let fine = 0;
  for (const task of list(`/proc/${pid}/task`))
    fine += Number.parseInt(read(`/proc/${pid}/task/${task}/schedstat`), 10) || 0;
  return Math.max(fine / 1e9, rough - 0.02, 0);
}

function family(pid: number): number[] {
  const found = [pid];
  for (let i = 0; i < found.length; i++) {
    for (const task of list(`/proc/${found[i]}/task`)) {
      const children = read(`/proc/${found[i]}/task/${task}/children`).trim();
      if (children !== "") found.push(...children.split(" ").map(Number));
    }
  }
  return found;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function kilobytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
}

export interface Interval {
  /** Seconds. */
  wall: number;
  /** Share of one core, 0.01 is 1 %. */
  share: number;
  rss: number;
  anonymous: number;
  peak: number;
  descriptors: number;
  sleepsPerSecond: number;
}

/** What the process uses from now until `during` (milliseconds or a promise) is over. */
export async function usageDuring(pid: number, during: number | Promise<unknown>): Promise<Interval> {
  const began = performance.now();
  const before = usageOf(pid);
  await (typeof during === "number" ? pause(during) : during);
  const wall = (performance.now() - began) / 1000;
  const { cpu, sleeps, ...after } = usageOf(pid);
  return { wall, share: (cpu - before.cpu) / wall, ...after, sleepsPerSecond: (sleeps - before.sleeps) / wall };
}

export interface Measured {
  code: number;
  /** Seconds: from start to end, and of processor time of it and the children it waited for. */
  wall: number;
  cpu: number;
  /** Most resident bytes seen, sampled every 10 ms. */
  peak: number;
  /** The last 4 kB. */
  stderr: string;
}

export interface MeasureOptions {
  /** Path of a file; default nothing. */
  stdin?: string;
  /** Path of a file to write; default /dev/null. */
  stdout?: string;
  env?: Record<string, string>;
  /** Milliseconds, then SIGKILL and an error. Default 300 000. */
  timeout?: number;
}

/** Runs a command to its end. Throws with what it said when it ends with another code than 0. */
export async function measure(command: readonly string[], options: MeasureOptions = {}): Promise<Measured> {
  const { stdin, stdout, env = {}, timeout = 300_000 } = options;
  const began = performance.now();
  const child = Bun.spawn([...command], {
    stdin: stdin === undefined ? "ignore" : Bun.file(stdin),
    stdout: stdout === undefined ? "ignore" : Bun.file(stdout),
    stderr: "pipe",
    env: { ...cleanEnv(), ...env },
  });
  killAtExit(child.pid);
  const said = new Response(child.stderr).text();
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, timeout);
  let peak = 0;
  const sampler = setInterval(() => {
    // Not by getrusage: after vfork its maximum begins with that of this process.
    peak = Math.max(peak, kilobytes(read(`/proc/${child.pid}/status`), "VmHWM"));
  }, 10);
  const code = await child.exited;
  const wall = (performance.now() - began) / 1000;
  clearInterval(sampler);
  clearTimeout(limit);
  hasEnded(child.pid);
  const stderr = (await said).slice(-4096);
  const reason = late ? `did not end within ${timeout} ms` : `ended with ${code}`;
  if (code !== 0) throw new Error(`measuring ${command.join(" ")}: it ${reason}: ${stderr}`);
  return { code, wall, cpu: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6, peak, stderr };
}

/** The environment without what would change the programs under test. */
export function cleanEnv(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) => !/^(LOGAGENT_|BUN_|XDG_)/.test(name));
  return Object.fromEntries(kept) as Record<string, string>;
}
