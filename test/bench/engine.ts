/** The Kafka engine beside librdkafka, each way with every codec: backlog, produce and consume, one after the other. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

for (const name of ["backlog", "produce", "consume"]) {
  const command = [join(import.meta.dirname, `${name}.ts`), "--codecs", "all", ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, command, { stdio: "inherit" });
  if (status !== 0) process.exitCode = status ?? 1;
  console.log();
}
