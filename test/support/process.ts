/** The real program: the compiled binary as a child process. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasEnded, killAtExit } from "./guard.ts";
import { waitFor } from "./wait.ts";

export const root = join(import.meta.dirname, "..", "..");

/** The binary under test: LOGAGENT_BIN, or dist/logagent, built now when it is missing. */
export function binary(): string {
  if (process.env.LOGAGENT_BIN) return process.env.LOGAGENT_BIN;
  const path = join(root, "dist", process.platform === "win32" ? "logagent.exe" : "logagent");
  if (!existsSync(path)) {
    const { status, stderr } = spawnSync(process.execPath, ["build.ts"], { cwd: root, encoding: "utf8" });
    if (status !== 0) throw new Error(`building ${path}: ${stderr}`);
  }
  return path;
}

export interface SpawnOptions {
  /** Added to an environment that holds nothing of LOGAGENT_, BUN_ and XDG_. */
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string | Uint8Array | "pipe";
  /** Run under these words, for example `["strace", "-f"]`. */
  under?: readonly string[];
}

export interface Result {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  stdoutBytes: Buffer;
}

export class Running {
  readonly child: ChildProcess;
  readonly command: string;
  readonly exited: Promise<Result>;
  private readonly out: Buffer[] = [];
  private readonly err: Buffer[] = [];

  private readonly group: boolean;

  /** `group`: the child leads a process group, and signals go to all of it. */
  constructor(child: ChildProcess, command: string, group = false) {
    this.child = child;
    this.command = command;
    this.group = group;
    const { pid } = child;
    if (pid !== undefined) killAtExit(group ? -pid : pid);
    child.stdout?.on("data", (data) => this.out.push(data));
    child.stderr?.on("data", (data) => this.err.push(data));
    this.exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        if (pid !== undefined) hasEnded(group ? -pid : pid);
        const stdoutBytes = Buffer.concat(this.out);
        resolve({ code, signal, stdout: stdoutBytes.toString(), stdoutBytes, stderr: this.stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  get stdout(): string {
    return Buffer.concat(this.out).toString();
  }

  get stderr(): string {
    return Buffer.concat(this.err).toString();
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.group) this.child.kill(signal);
    else if (this.running) process.kill(-this.pid, signal);
  }

  /** Sends the signal and waits for the end; SIGKILL after `patience` ms. */
  async stop(signal: NodeJS.Signals = "SIGTERM", patience = 30_000): Promise<Result> {
    this.signal(signal);
    const timer = setTimeout(() => this.signal("SIGKILL"), patience);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until standard error matches; fails at once when the process has ended without. */
  async says(pattern: RegExp, timeout = 30_000): Promise<RegExpExecArray> {
    return waitFor(
      `${this.command} to say ${pattern}`,
      () => {
        const match = pattern.exec(this.stderr);
        if (!match && !this.running) return { ended: true } as never;
        return match;
      },
      { timeout },
    ).then((match) => {
      if ((match as { ended?: true }).ended) {
        throw new Error(`${this.command} ended without saying ${pattern}: ${this.stderr}`);
      }
      return match as RegExpExecArray;
    });
  }
}

/** Starts the binary; it is killed when this process ends. */
export function startLogagent(args: readonly string[], options: SpawnOptions = {}): Running {
  return start([...(options.under ?? []), binary(), ...args], options, options.under !== undefined);
}

/** Starts any program the same way. */
export function start(command: readonly string[], { env = {}, cwd, stdin }: SpawnOptions = {}, group = false): Running {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(LOGAGENT_|BUN_|XDG_|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  const child = spawn(command[0]!, command.slice(1), {
    env: { ...Object.fromEntries(inherited), ...env } as NodeJS.ProcessEnv,
    stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    ...(cwd === undefined ? {} : { cwd }),
    detached: group,
  });
  child.stdin?.on("error", () => {});
  if (stdin !== undefined && stdin !== "pipe") child.stdin?.end(stdin);
  return new Running(child, command.slice(0, 3).join(" "), group);
}

/** Runs the binary to its end. `timeout` in milliseconds (default 60 000), then SIGKILL and an error. */
export async function logagent(
  args: readonly string[],
  options: SpawnOptions & { timeout?: number } = {},
): Promise<Result> {
  return finish(startLogagent(args, options), options.timeout);
}

/** Runs any program to its end. */
export function run(command: readonly string[], options: SpawnOptions & { timeout?: number } = {}): Promise<Result> {
  return finish(start(command, options), options.timeout);
}

async function finish(running: Running, timeout = 60_000): Promise<Result> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    running.signal("SIGKILL");
  }, timeout);
  try {
    const result = await running.exited;
    if (late) throw new Error(`${running.command} did not end within ${timeout} ms: ${result.stderr}`);
    return result;
  } finally {
    clearTimeout(timer);
  }
}
