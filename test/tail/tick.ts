import { rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Returns when whatever is written next bears a later time than all that was written before: the clock of a file's times
 * ticks every 1 to 10 ms and stands still for longer where the processor that moves it is held up, so no sleep will do.
 */
export function nextTick(): void {
  const probe = join(tmpdir(), `logagent-tick-${process.pid}`);
  const written = () => {
    writeFileSync(probe, "");
    return statSync(probe, { bigint: true }).mtimeNs;
  };
  try {
    const before = written();
    while (written() <= before) Bun.sleepSync(1);
  } finally {
    rmSync(probe, { force: true });
  }
}
