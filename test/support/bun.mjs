/**
 * `node bun.mjs ARGS…` runs the installed Bun. npm's own link to it works only after the package's install script,
 * which npm may have been told not to run; the executable itself always comes as an optional dependency.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

const modules = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "..", "..", "node_modules");
const scope = join(modules, "@oven");

function candidates() {
  const packages = existsSync(scope) ? readdirSync(scope).map((name) => join(scope, name, "bin")) : [];
  return [join(modules, "bun", "bin"), ...packages]
    .flatMap((dir) => [join(dir, "bun.exe"), join(dir, "bun")])
    .filter((file) => existsSync(file) && statSync(file).size > 1e6);
}

const bun = candidates().find((file) => spawnSync(file, ["--version"]).status === 0);
if (!bun) {
  console.error("Bun is not installed for this platform: run `npm ci` (with optional dependencies)");
  process.exitCode = 78;
} else {
  const child = spawn(bun, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    process.exitCode = signal ? 128 + constants.signals[signal] : code;
  });
}
