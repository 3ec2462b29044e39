/** Named paths that are nothing to be followed are said, and are errors with `mustExist`. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { type Log, silentLog } from "../../src/observe/log.ts";
import type { Input } from "../../src/pipeline/inputs/input.ts";
import { sayAbsent } from "../../src/pipeline/inputs/missing-paths.ts";
import { tempDir } from "../support/temp.ts";

let dir = "";
let server: Server;
beforeEach(async () => {
  dir = tempDir("missing");
  server = createServer().listen(join(dir, "socket"));
  await once(server, "listening");
  mkdirSync(join(dir, "directory"));
});
afterEach(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const said: [string, string][] = [];
const log: Log = {
  ...silentLog,
  info: (text) => said.push(["info", text]),
  warn: (text) => said.push(["warn", text]),
};

function say(path: string, mustExist = false, isOnce = false): Promise<void> {
  const config = { name: "i", tail: { paths: [path] } };
  const tailer = { files: () => [] };
  return sayAbsent([{ config, tailer }] as unknown as Input[], { once: isOnce, mustExist }, log);
}

for (const [name, text] of [
  ["socket", "is a socket; only files and FIFOs are followed"],
  ["directory", "is a directory; name its files, for example "],
  ["/dev/null", "is a device; only files and FIFOs are followed"],
] as const)
  test(`${name} as a path`, async () => {
    const path = name.startsWith("/") ? name : join(dir, name);
    said.length = 0;
    await say(path);
    await say(path, false, true);
    expect(said).toEqual([
      ["warn", expect.stringContaining(`${path} ${text}`)],
      ["warn", expect.stringContaining(`nothing to send: ${path} ${text}`)],
    ]);
    expect(say(path, true)).rejects.toThrow(`${path} ${text}`);
  });

test("a pattern whose files another input follows matches something", async () => {
  for (const leaves of [false, true]) {
    const config = { name: "i", tail: { paths: [join(dir, "*.log")] } };
    const inputs = [{ config, tailer: { files: () => [], leaves } }] as unknown as Input[];
    said.length = 0;
    await sayAbsent(inputs, { once: true, mustExist: false }, log);
    expect(said.length).toBe(leaves ? 0 : 1);
  }
});

test("a name that is not there yet", async () => {
  const path = join(dir, "later.log");
  said.length = 0;
  await say(path);
  expect(said).toEqual([["info", `no file matches ${path} yet`]]);
  expect(say(path, true)).rejects.toThrow("--must-exist is given");
});
