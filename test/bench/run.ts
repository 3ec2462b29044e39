/** `npm run bench -- NAME [OPTIONS]` builds the binary (unless LOGAGENT_BIN names one) and runs the benchmark NAME.ts. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/process.ts";

const names = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".ts") && name !== "run.ts")
  .map((name) => name.slice(0, -3))
  .sort();
const [name = "", ...rest] = process.argv.slice(2);

function run(args: readonly string[]): number {
  return spawnSync(process.execPath, [...args], { cwd: root, stdio: "inherit" }).status ?? 1;
}

if (!names.includes(name)) {
  console.error(`usage: npm run bench -- ${names.join("|")} [OPTIONS]`);
  process.exitCode = 64;
} else {
  const built = process.env.LOGAGENT_BIN ? 0 : run(["build.ts"]);
  process.exitCode = built === 0 ? run([join(import.meta.dirname, `${name}.ts`), ...rest]) : built;
}
