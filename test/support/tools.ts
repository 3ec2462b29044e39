/** Programs a test can use but not require: without them it is skipped with the reason in its name. */

import { test } from "bun:test";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The path of a program, or null. */
export function findTool(name: string): string | null {
  for (const dir of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]) {
    if (dir === "") continue;
    try {
      accessSync(join(dir, name), constants.X_OK);
      return join(dir, name);
    } catch {}
  }
  return null;
}

export function hasTool(name: string): boolean {
  return findTool(name) !== null;
}

export const isRoot = process.getuid?.() === 0;

/**
 * `test`, or a skipped test whose name says what is missing: `testWith(["kcat", "strace"])("name", …)`. The word "root"
 * asks for uid 0.
 */
export function testWith(needs: readonly string[]) {
  const missing = needs.filter((need) => (need === "root" ? !isRoot : !hasTool(need)));
  return (name: string, body: () => void | Promise<void>, timeout?: number): void => {
    if (missing.length === 0) test(name, body, timeout);
    else test.skip(`${name} [skipped: needs ${missing.join(", ")}]`, body);
  };
}
