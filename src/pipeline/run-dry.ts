import { hostname } from "node:os";
import type { AgentConfig } from "../config/types.ts";
import type { Log } from "../observe/log.ts";
import { systemClock } from "../runtime.ts";
import { nodeFs } from "../tail/fs/fs.ts";
import { createTailer } from "../tail/tailer.ts";
import { dryRun } from "./dry-run.ts";

/** `tail --dry-run`: prints to stdout; the exit code. */
export async function runDry(config: AgentConfig, log: Log): Promise<number> {
  const env = { fs: nodeFs, clock: systemClock, random: Math.random };
  await dryRun({
    inputs: config.inputs,
    mustExist: config.mustExist,
    createTailer: (options, claims) => createTailer(options, claims ? { ...env, claims } : env),
    host: hostname(),
    clock: systemClock,
    log,
    write: (text) =>
      new Promise((resolve) => {
        if (process.stdout.write(text)) resolve();
        else process.stdout.once("drain", resolve);
      }),
  });
  return 0;
}
