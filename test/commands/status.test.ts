import { afterAll, expect, test } from "bun:test";
import { appendFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLog } from "../../src/observe/log.ts";
import { openState } from "../../src/state/open.ts";
import type { FileState } from "../../src/state/types.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { cli, shell } from "./cli.ts";

const dir = tempDir("status");
const state = join(dir, "state.jsonl");
afterAll(() => removeDir(dir));

function fileState(name: string, position: number, more: Partial<FileState> = {}): FileState {
  const path = join(dir, name);
  const { dev, ino } = statSync(path, { bigint: true });
  const fingerprint = { from: 0, length: 0, hash: "" };
  const identity = { dev: Number(dev), ino: String(ino), birth: "0", fingerprint, marker: null };
  return { key: name, input: "web", path, position, line: 1, seen: 1_700_000_000_000, ...identity, ...more };
}

test("shows position, size, lag and whether the agent runs", async () => {
  for (const name of ["a.log", "b.log", "c.log"]) writeFileSync(join(dir, name), "x".repeat(100));
  const { journal, close } = await openState({ path: state, log: silentLog, fallBack: true, agentId: "agent-7" });
  const files = [fileState("a.log", 40), fileState("b.log", 100), fileState("c.log", 100, { done: true })];
  await journal.append({ n: journal.nextNumber(), base: 0, files, confirmed: true });
  appendFileSync(join(dir, "a.log"), "more");
  renameSync(join(dir, "b.log"), join(dir, "b.log.1"));
  writeFileSync(join(dir, "b.log"), "another file");

  const show = async (...more: string[]) =>
    JSON.parse((await cli(["status", "--state", state, "-o", "json", ...more])).stdout);
  const running = await show("--rate", "1ms");
  expect(running).toMatchObject({ agent: "agent-7", pid: process.pid, state });
  expect(running.files).toMatchObject([
    { input: "web", path: join(dir, "a.log"), position: 40, size: 104, lag: 64, status: "followed", bytesPerSecond: 0 },
    { path: join(dir, "b.log.1"), position: 100, size: 100, lag: 0, status: "moved" },
  ]);
  expect((await show("--done")).files).toHaveLength(3);
  await close();
  expect((await show()).pid).toBeNull();
  const { stdout } = await cli(["status"], { env: { LOGAGENT_STATE: state } });
  expect(stdout).toContain("agent-7 (not running)");
  expect(stdout).toMatch(/web +\S+a\.log +40 +104 +64 +followed/);
});

test("a long list arrives whole through a slow pipe", async () => {
  const path = join(dir, "many.jsonl");
  const { journal, close } = await openState({ path, log: silentLog, fallBack: true, agentId: null });
  const one = fileState("a.log", 40);
  const files = Array.from({ length: 10_000 }, (_, i) => ({
    ...one,
    key: `${i}`,
    path: join(dir, "none", `${i}-${"x".repeat(200)}`),
  }));
  await journal.append({ n: journal.nextNumber(), base: 0, files, confirmed: true });
  await close();
  const { stdout, stderr } = await shell(`"$@" status --state ${path} -o json | { sleep 0.5; cat; }`);
  expect(stderr).toBe("");
  expect(stdout.length).toBeGreaterThan(4_000_000);
  expect(JSON.parse(stdout).files).toHaveLength(files.length);
});

test("the config file may name the journal", async () => {
  const config = join(dir, "logagent.yaml");
  writeFileSync(config, `state: ${state}\ninputs: {}\n`);
  expect((await cli(["status", "--config", config])).stdout).toContain("agent-7");
});

test("no journal or a damaged one ends with 74", async () => {
  const none = await cli(["status", "--state", join(dir, "none")]);
  expect([none.code, none.stderr]).toEqual([74, expect.stringContaining("name another with --state")]);
  const damaged = join(dir, "damaged");
  writeFileSync(damaged, "\0".repeat(100));
  expect((await cli(["status", "--state", damaged])).code).toBe(74);
});
