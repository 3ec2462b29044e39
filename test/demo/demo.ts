/**
 * `npm run demo`: builds the program, starts a real Kafka node unless KAFKA_BROKERS names a cluster, follows a log that
 * is rotated while it grows and a log of this system, reads the topic back and compares. Exit code 1 when lines differ.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startKafka } from "../kafka/broker.ts";
import { logagent, root, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";
import { compare, type Verdict } from "./verdict.ts";

const say = (text: string) => console.log(text);
const began = performance.now();

/** A log of the system that can be read here: real input of unknown content. */
function systemLog(): string | null {
  const names = ["syslog", "messages", "system.log", "install.log", "dpkg.log", "pacman.log", "alternatives.log"];
  for (const name of names) {
    const path = join("/var/log", name);
    try {
      const { size } = statSync(path);
      if (size > 0 && size < 64e6 && readFileSync(path).includes(10)) return path;
    } catch {}
  }
  return null;
}

/** Every complete line of a file. */
function linesOf(bytes: Buffer): string[] {
  const lines = bytes.toString("latin1").split("\n");
  lines.pop();
  return lines;
}

/** The rotation writer: 20 lines, one each 0.1 s, then the file becomes a backup named for the time; three times. */
async function writeAndRotate(path: string): Promise<string[]> {
  const written: string[] = [];
  for (let round = 1; round <= 3; round++) {
    for (let n = 1; n <= 20; n++) {
      const line = `${new Date().toISOString()} round ${round} line ${n}`;
      writeFileSync(path, `${line}\n`, { flag: "a" });
      written.push(line);
      await pause(100);
    }
    const time = new Date().toISOString().replace(/[:.]/g, "-");
    renameSync(path, path.replace(/\.log$/, `-${time}.log`));
    say(`  ${written.length} lines written; ${path} renamed to its backup`);
  }
  return written;
}

async function consumed(brokers: string, topic: string): Promise<Map<string, string[]>> {
  const format = ["--format", "%k %v\\n"];
  const words = ["consume", topic, "--offsets", "start", "--exit-at-end", ...format, "--brokers", brokers];
  const { code, stdoutBytes, stderr } = await logagent(words);
  if (code !== 0) throw new Error(`logagent consume ended with ${code}: ${stderr}`);
  const byFile = new Map<string, string[]>();
  for (const line of linesOf(stdoutBytes)) {
    const at = line.indexOf(" ");
    const file = line.slice(0, at);
    if (!byFile.has(file)) byFile.set(file, []);
    byFile.get(file)?.push(line.slice(at + 1));
  }
  return byFile;
}

function print(name: string, { written, received, lost, duplicated, reordered }: Verdict): void {
  const columns = { written, received, lost, duplicated, "out of order": reordered };
  say(
    `${name.padEnd(24)}${Object.entries(columns)
      .map(([key, value]) => `${key} ${value}`.padEnd(16))
      .join("")}`.trimEnd(),
  );
}

async function main(): Promise<boolean> {
  say("building the program …");
  const build = spawnSync(process.execPath, ["build.ts"], { cwd: root, encoding: "utf8" });
  if (build.status !== 0) throw new Error(`building: ${build.stderr}`);
  const { stdout: version } = await logagent(["--version"]);

  const given = process.env.KAFKA_BROKERS;
  if (!given) say("starting Apache Kafka …");
  const kafka = given ? null : await startKafka();
  const brokers = given ?? kafka!.brokers;
  say(`${version.trim()}, Kafka at ${brokers}`);

  const dir = tempDir("demo");
  const log = join(dir, "app.log");
  const system = systemLog();
  const topic = `logagent-demo-${Date.now().toString(36)}`;
  mkdirSync(join(dir, "state"), { mode: 0o700 });
  writeFileSync(log, "");
  const files = system ? [log, system] : [log];
  const words = [...files, "--topic", topic, "--create-topic", "3", "--key", "{path}", "--from", "beginning"];
  say(`$ logagent tail ${words.join(" ")}`);
  const agent = startLogagent(["tail", ...words, "--brokers", brokers, "--state", join(dir, "state", "state.jsonl")]);
  let ok = true;
  try {
    const written = await writeAndRotate(log);
    const atLeast = system ? linesOf(readFileSync(system)).length : 0;
    await waitFor(
      "all lines in the topic",
      async () => {
        if (!agent.running) throw new Error(`the agent ended: ${agent.stderr}`);
        const got = await consumed(brokers, topic);
        return (got.get(log)?.length ?? 0) >= written.length && (!system || (got.get(system)?.length ?? 0) >= atLeast);
      },
      { timeout: 60_000, every: 500 },
    ).catch((error) => say(String(error.message)));
    const ended = await agent.stop("SIGTERM");
    if (ended.code !== 0) {
      ok = false;
      say(`the agent ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
    }
    const got = await consumed(brokers, topic);
    const rotated = got.get(log) ?? [];
    say("what arrived, the last of it:");
    for (const line of rotated.slice(-3)) say(`  ${line}`);
    const verdicts: [string, Verdict][] = [["rotated log", compare(written, rotated)]];
    if (system) {
      const received = got.get(system) ?? [];
      // The system may have written on meanwhile: what is there after the agent's stop and beyond it does not count.
      const expected = linesOf(readFileSync(system)).slice(0, Math.max(atLeast, received.length));
      verdicts.push([system, compare(expected, received)]);
    }
    for (const [name, verdict] of verdicts) {
      print(name, verdict);
      ok &&= verdict.lost + verdict.duplicated + verdict.reordered + verdict.foreign === 0;
    }
  } finally {
    await agent.stop("SIGKILL");
    if (given) await logagent(["topics", "delete", topic, "--brokers", brokers]).catch(() => {});
    await kafka?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
  say(`${ok ? "every line once, in order" : "FAILED"}; ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return ok;
}

process.exitCode = (await main().catch((error) => {
  say(`FAILED: ${error instanceof Error ? error.message : error}`);
  return false;
}))
  ? 0
  : 1;
