/**
 * What campaigns are made of: writers that append and rotate at a steady rate, the real agent that can be killed and
 * started again, and the verdict over what the topic holds.
 */
import { mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { LineWriter } from "../support/lines.ts";
import { logagent, type Result, type Running, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { pause } from "../support/wait.ts";
import { type Finding, Oracle } from "./oracle.ts";
import { readTopic } from "./read-topic.ts";

export type Delivery = "at-least-once" | "exactly-once";

export interface RigOptions {
  topic: string;
  /** What the agent connects to. */
  brokers: string;
  /** What the verdict is read from, past any proxy. Default: `brokers`. */
  direct?: string;
  delivery: Delivery;
  /** Names of the files; default two. */
  files?: readonly string[];
  /** More flags of `logagent tail`. */
  flags?: readonly string[];
  /** Bytes of a line; default 80. */
  lineLength?: number;
}

/** For a rig whose agent connects through a proxy, while the verdict is read past it. */
export function throughProxy(
  { brokers, direct }: { brokers: string; direct: string },
  topic: string,
  delivery: Delivery,
): RigOptions {
  return { brokers, direct, topic, delivery };
}

export class Rig {
  readonly dir: string;
  readonly options: RigOptions;
  readonly writers: LineWriter[];
  readonly stateDir: string;
  agent: Running | undefined;
  private readonly logs: string[] = [];
  private readonly backups = new Map<LineWriter, string[]>();
  private timers: NodeJS.Timeout[] = [];
  private rotations = 0;
  /** Lines of each file at each `kill`. */
  readonly kills: Map<string, number>[] = [];

  constructor(options: RigOptions) {
    this.options = options;
    this.dir = tempDir("rig");
    this.stateDir = join(this.dir, "state");
    mkdirSync(join(this.dir, "logs"));
    const names = options.files ?? ["a", "b"];
    this.writers = names.map((name) => new LineWriter(join(this.dir, "logs", `${name}.log`), name, options.lineLength));
  }

  get state(): string {
    return join(this.stateDir, "state.jsonl");
  }

  /** The words behind `logagent`. */
  words(more: readonly string[] = []): string[] {
    const { topic, brokers, delivery, flags = [] } = this.options;
    const fixed = ["--topic", topic, "--brokers", brokers, "--delivery", delivery, "--state", this.state];
    const files = this.writers.map(({ path }) => path);
    return ["tail", ...files, ...fixed, "--key", "{path}", "--from", "beginning", ...flags, ...more];
  }

  start(more: readonly string[] = [], under?: readonly string[]): Running {
    this.agent = startLogagent(this.words(more), under ? { under } : {});
    return this.agent;
  }

  /** SIGKILL, as a crash. */
  async kill(): Promise<void> {
    const ended = this.end("SIGKILL");
    this.kills.push(new Map(this.writers.map(({ file, written }) => [file, written])));
    await ended;
  }

  async end(signal: NodeJS.Signals): Promise<Result | undefined> {
    const agent = this.agent;
    if (!agent) return undefined;
    const unexpected = !agent.running;
    const result = await agent.stop(signal);
    this.logs.push(result.stderr);
    this.agent = undefined;
    if (unexpected) throw new Error(`the agent ended by itself, ${result.code ?? result.signal}: ${result.stderr}`);
    return result;
  }

  /** `linesPerSecond` in all, spread over the files, from now until `quiet`. */
  load(linesPerSecond: number): void {
    const began = performance.now();
    let written = 0;
    const step = () => {
      const due = Math.floor(((performance.now() - began) / 1000) * linesPerSecond) - written;
      if (due < this.writers.length) return;
      const each = Math.floor(due / this.writers.length);
      for (const writer of this.writers) writer.write(each);
      written += each * this.writers.length;
    };
    this.timers.push(setInterval(step, 10));
  }

  /** Every `ms` one file is renamed to a numbered backup; `keep` backups of each file stay. */
  rotateEvery(ms: number, keep = 40): void {
    let turn = 0;
    this.timers.push(setInterval(() => this.rotate(this.writers[turn++ % this.writers.length]!, keep), ms));
  }

  rotate(writer: LineWriter, keep = 40): void {
    const backup = `${writer.path}.${++this.rotations}`;
    writer.rotate(() => renameSync(writer.path, backup));
    const list = this.backups.get(writer) ?? [];
    list.push(backup);
    if (list.length > keep) rmSync(list.shift()!);
    this.backups.set(writer, list);
  }

  /** Ends load and rotation. */
  quiet(): void {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
  }

  get written(): number {
    return this.writers.reduce((sum, writer) => sum + writer.written, 0);
  }

  /** Sends what is left with `tail --once`; throws when that does not end with 0. */
  async catchUp(timeout = 120_000): Promise<void> {
    const result = await logagent(this.words(["--once"]), { timeout });
    this.logs.push(result.stderr);
    if (result.code !== 0) throw new Error(`tail --once ended with ${result.code ?? result.signal}: ${result.stderr}`);
  }

  /** Reads the topic and judges. */
  async verdict(): Promise<Finding> {
    const oracle = new Oracle();
    const { direct, brokers, topic } = this.options;
    await readTopic(direct ?? brokers, topic, (partition, value) => oracle.add(partition, value));
    return oracle.judge(new Map(this.writers.map(({ file, written }) => [file, written])), this.kills);
  }

  /** What the agents of this rig said, the last `bytes` of it. */
  said(bytes = 6_000): string {
    return [...this.logs, this.agent?.stderr ?? ""].join("").slice(-bytes);
  }

  async close(): Promise<void> {
    this.quiet();
    await this.agent?.stop("SIGKILL");
    for (const writer of this.writers) writer.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Runs a campaign's body with a rig of its own; on failure prints what the agents said. */
export async function withRig(options: RigOptions, body: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = new Rig(options);
  try {
    await body(rig);
  } catch (error) {
    console.log(`${options.topic}, ${options.delivery}: the agents said:\n${rig.said()}`);
    throw error;
  } finally {
    await rig.close();
  }
}

/** What every campaign demands; repeats are judged apart. */
export function expectNothingLost(finding: Finding): void {
  const { lost, damaged, unwritten, reordered, examples } = finding;
  if (lost + damaged + unwritten + reordered > 0) {
    throw new Error(
      `lost ${lost}, damaged ${damaged}, unwritten ${unwritten}, out of order ${reordered} of ${finding.received} received:\n${examples.join("\n")}`,
    );
  }
}

export function expectEveryLineOnce(finding: Finding): void {
  expectNothingLost(finding);
  if (finding.repeated > 0) throw new Error(`repeated ${finding.repeated}:\n${finding.examples.join("\n")}`);
}

/** Waits until the running agent has brought every written line into the topic (by its own, without `--once`). */
export async function waitUntilReceived(rig: Rig, timeout = 90_000): Promise<void> {
  const end = performance.now() + timeout;
  for (;;) {
    const finding = await rig.verdict();
    if (finding.lost === 0) return;
    if (!rig.agent?.running) throw new Error(`the agent ended: ${rig.said()}`);
    if (performance.now() > end) {
      throw new Error(`after ${timeout} ms ${finding.lost} lines are missing:\n${finding.examples.join("\n")}`);
    }
    await pause(1_000);
  }
}

/** MiB that an agent may ever be resident with in a campaign: the budget for a backlog. */
export const memoryCap = 100;

/** Resident memory (VmRSS) of a process in MiB; -1 where the system does not say. */
export function residentNow(pid: number): number {
  return memoryOf(pid, "VmRSS");
}

/** Peak resident memory (VmHWM) of a process in MiB; -1 where the system does not say. */
export function residentPeak(pid: number): number {
  return memoryOf(pid, "VmHWM");
}

function memoryOf(pid: number, name: string): number {
  try {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Math.round(Number(kilobytes) / 1024);
  } catch {
    return -1;
  }
}
