/** Runs programs in process groups of their own, with a time limit; whatever they leave behind goes with them. */
import { type ChildProcess, spawn } from "node:child_process";
import { hasEnded, killAtExit } from "./guard.ts";

const running = new Set<ChildProcess>();

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {}
}

/** Kills everything that still runs. */
export function killAll(): void {
  for (const child of running) killGroup(child);
}

/** Standard output and error in one text. `timeout` in milliseconds. */
export function execute(
  command: readonly string[],
  { cwd, timeout, env }: { cwd: string; timeout: number; env: NodeJS.ProcessEnv },
): Promise<{ code: number; output: string; timedOut: boolean }> {
  return new Promise((resolve) => {
    const child = spawn(command[0]!, command.slice(1), { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const chunks: Buffer[] = [];
    let timedOut = false;
    running.add(child);
    if (child.pid !== undefined) killAtExit(child.pid);
    child.stdout.on("data", (data) => chunks.push(data));
    child.stderr.on("data", (data) => chunks.push(data));
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, timeout);
    const end = (code: number) => {
      clearTimeout(timer);
      running.delete(child);
      if (child.pid !== undefined) hasEnded(child.pid);
      resolve({ code, output: Buffer.concat(chunks).toString(), timedOut });
    };
    child.once("error", (error) => {
      chunks.push(Buffer.from(`${error.message}\n`));
      end(127);
    });
    // What the process left behind may hold its output open: the group goes when the process does.
    child.once("exit", () => killGroup(child));
    child.once("close", (code) => end(code ?? 1));
  });
}
