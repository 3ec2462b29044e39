import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeAtExit } from "./guard.ts";

/** A new directory of this test, `<tmp>/logagent-<name>-XXXXXX`; removed when the process ends, if not before. */
export function tempDir(name = "test"): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), `logagent-${name}-`)));
  removeAtExit(dir);
  return dir;
}

export function removeDir(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}
