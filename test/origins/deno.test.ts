/** The same sources under Deno: produce, tail and consume against the same broker. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, start } from "../support/process.ts";
import { makePlace, type Place, untilValues } from "./helpers.ts";

let place: Place;
const permissions = ["--allow-net", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];
const main = [denoExecutable(), "run", "--quiet", "--no-prompt", ...permissions, join(root, "src", "main.ts")];

/** npm's own link works only after the package's install script; the executable is there without it. */
function denoExecutable(): string {
  const modules = join(root, "node_modules");
  const packages = readdirSync(join(modules, "@deno")).map((name) => join(modules, "@deno", name));
  const found = [join(modules, "deno"), ...packages].map((dir) => join(dir, "deno")).find((path) => existsSync(path));
  if (!found) throw new Error("the deno package has no executable for this platform");
  return found;
}

beforeAll(async () => {
  place = await makePlace("deno");
}, 120_000);

afterAll(() => place.stopAll());

test("produce, consume, tail with a rotation", async () => {
  const brokers = ["--brokers", place.brokers];
  const topic = await place.topic("deno", 2);
  const produced = await run([...main, "produce", topic, ...brokers, "--compression", "zstd"], { stdin: "one\ntwo\n" });
  expect([produced.code, produced.stderr]).toEqual([0, ""]);
  const consumed = await run([...main, "consume", topic, ...brokers, "-O", "start", "-e"]);
  expect([consumed.code, consumed.stderr]).toEqual([0, ""]);
  expect(consumed.stdout.split("\n").sort()).toEqual(["", "one", "two"]);

  for (const delivery of ["at-least-once", "exactly-once"]) {
    const rotated = await place.topic("deno", 1);
    const log = place.path(`${delivery}.log`);
    writeFileSync(log, "a\nb\n");
    const words = ["tail", log, "--topic", rotated, "--from", "beginning", "--delivery", delivery];
    const agent = start([...main, ...words, ...brokers, "--state", place.path(`${delivery}.jsonl`)]);
    await untilValues(place.brokers, rotated, 2);
    renameSync(log, `${log}.1`);
    appendFileSync(`${log}.1`, "c\n");
    writeFileSync(log, "d\n");
    expect(await untilValues(place.brokers, rotated, 4)).toEqual(["a", "b", "c", "d"]);
    expect((await agent.stop()).code).toBe(0);
  }
}, 120_000);
