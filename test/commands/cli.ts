/** The program as its users run it, from the sources: the compiled binary has tests of its own. */
import { join } from "node:path";
import { type Result, root, run, type SpawnOptions } from "../support/process.ts";

export const main = [process.execPath, join(root, "src", "main.ts")];

export function cli(args: readonly string[], options: SpawnOptions = {}): Promise<Result> {
  return run([...main, ...args], options);
}

/** Through `sh -c`, `"$@"` being the program. */
export function shell(script: string, options: SpawnOptions = {}): Promise<Result> {
  return run(["sh", "-c", script, "sh", ...main], options);
}
