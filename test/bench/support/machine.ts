import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, loadavg, release } from "node:os";

/** What the figures below depend on, as one line; a load that is not 0 means that others disturb. */
export function machine(binary: string): string {
  const version = execFileSync(binary, ["--version"], { encoding: "utf8" }).trim();
  const model = cpus()[0]?.model ?? "unknown processor";
  return `${version}, Bun ${Bun.version}, ${availableParallelism()} × ${model}, Linux ${release()}, load ${loadavg()[0]?.toFixed(2)}`;
}
