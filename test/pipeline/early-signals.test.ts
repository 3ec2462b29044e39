/** Signals that come while an agent starts: held at its configuration, a FIFO that nobody has written to. */
import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";

function starting() {
  const dir = tempDir("early");
  const config = join(dir, "logagent.yaml");
  execFileSync("mkfifo", [config]);
  writeFileSync(join(dir, "a.log"), "");
  // Nobody answers there: that is no reason to end either.
  const args = ["--brokers", "127.0.0.1:1", "--state", join(dir, "s", "state.jsonl")];
  const agent = startLogagent(["tail", "--config", config, ...args]);
  const opened = waitFor("the configuration to be read", () => {
    try {
      return openSync(config, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch {
      return null;
    }
  });
  const goOn = (fd: number) => {
    const text = `inputs: { a: { paths: ${join(dir, "a.log")}, topic: t } }\n`;
    writeFileSync(`${config}.new`, text);
    renameSync(`${config}.new`, config); // for the next time it is read
    writeSync(fd, text);
    closeSync(fd);
  };
  return { agent, opened, goOn };
}

testWith(["mkfifo"])("SIGHUP does not end it", async () => {
  const { agent, opened, goOn } = starting();
  const fd = await opened;
  agent.signal("SIGHUP");
  goOn(fd);
  await agent.says(/following/);
  const { code, signal } = await agent.stop();
  expect([code, signal]).toEqual([0, null]);
});

testWith(["mkfifo"])("SIGTERM ends it cleanly, with a word", async () => {
  const { agent, opened, goOn } = starting();
  const fd = await opened;
  agent.signal("SIGTERM");
  goOn(fd);
  const { code, signal, stderr } = await agent.exited;
  expect([code, signal, stderr]).toEqual([0, null, expect.stringMatching(/stopping.*SIGTERM/)]);
});
