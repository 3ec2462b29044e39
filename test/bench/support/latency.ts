/** Append → readable: a writer and a reader in processes of their own around whatever carries the lines. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { killAtExit } from "../../support/guard.ts";
import { cleanEnv } from "./meter.ts";

export interface Latency {
  count: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  max: number;
  lost: number;
  repeated: number;
}

export class LatencyReader {
  private readonly process: LineProcess;

  constructor(brokers: string, topic: string, committed: boolean) {
    const isolation = committed ? "read-committed" : "read-uncommitted";
    this.process = new LineProcess("latency-reader.ts", [brokers, topic, isolation]);
  }

  async ready(): Promise<this> {
    await this.process.line((text) => text === "ready");
    return this;
  }

  /** Resolves when the first line came. */
  async first(): Promise<void> {
    await this.process.line((text) => text === "first");
  }

  /** Of the lines written in [from, to), monotonic microseconds. */
  async latency(from: number, to: number): Promise<Latency> {
    this.process.say(`${from} ${to}`);
    return JSON.parse(await this.process.line((text) => text.startsWith("{")));
  }

  stop(): Promise<void> {
    return this.process.end();
  }
}

export class LatencyWriter {
  private readonly process: LineProcess;

  /** Begins at once. */
  constructor(path: string, linesPerSecond: number, length = 200) {
    this.process = new LineProcess("latency-writer.ts", [path, String(linesPerSecond), String(length)]);
  }

  stop(): Promise<void> {
    return this.process.end();
  }
}

/** A script beside this one that is spoken to in lines. */
class LineProcess {
  private readonly child: ChildProcess;
  private readonly lines: string[] = [];
  private wake: (() => void) | null = null;
  private ended = false;

  constructor(script: string, args: readonly string[]) {
    const command = [join(import.meta.dirname, script), ...args];
    this.child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "inherit"], env: cleanEnv() });
    if (this.child.pid !== undefined) killAtExit(this.child.pid);
    createInterface({ input: this.child.stdout! }).on("line", (text) => {
      this.lines.push(text);
      this.wake?.();
    });
    this.child.once("exit", () => {
      this.ended = true;
      this.wake?.();
    });
  }

  say(text: string): void {
    this.child.stdin?.write(`${text}\n`);
  }

  /** The next line that fits; others before it are dropped. */
  async line(fits: (text: string) => boolean, timeout = 60_000): Promise<string> {
    const end = performance.now() + timeout;
    for (;;) {
      const at = this.lines.findIndex(fits);
      if (at >= 0) return this.lines.splice(0, at + 1).at(-1)!;
      if (this.ended) throw new Error(`${this.child.spawnargs.slice(1).join(" ")} ended`);
      if (performance.now() > end) throw new Error(`${this.child.spawnargs.slice(1).join(" ")} said nothing`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, end - performance.now()));
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async end(): Promise<void> {
    if (this.ended) return;
    const exited = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin?.end();
    await exited;
  }
}
