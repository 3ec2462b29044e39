/** Few file descriptors: every line arrives, and what is short is named. */
import { beforeAll, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { readValues } from "../faults/read-topic.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { logagent, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

const values = (topic: string) => readValues(brokers, topic);

const limited = (descriptors: number) => ["sh", "-c", `ulimit -n ${descriptors}; exec "$0" "$@"`];

/** Directories with so many files of one line each. */
function files(directories: number, count: number) {
  const dir = tempDir("descriptors");
  const globs: string[] = [];
  const paths: string[] = [];
  for (let d = 0; d < directories; d++) {
    mkdirSync(join(dir, `d${d}`));
    globs.push(join(dir, `d${d}`, "*.log"));
    for (let i = 0; i < count; i++) paths.push(join(dir, `d${d}`, `${i}.log`));
  }
  const write = (text: string) => {
    for (const path of paths) appendFileSync(path, `${path} ${text}\n`);
  };
  write("first");
  return { dir, globs, paths, write };
}

for (const [directories, count, descriptors, delivery] of [
  [1, 400, 128, "at-least-once"],
  [1, 100, 40, "exactly-once"],
  [3, 400, 1024, "at-least-once"],
] as const) {
  test(`${directories} globs of ${count} files, ${descriptors} descriptors, ${delivery}, many connections for metrics`, async () => {
    const { dir, globs, paths, write } = files(directories, count);
    const topic = await createTopic(brokers, uniqueTopic("descriptors"), 1);
    const args = ["tail", ...globs, "--topic", topic, "--brokers", brokers, "--state", join(dir, "s", "state.jsonl")];
    const more = ["--from", "beginning", "--delivery", delivery, "--metrics-listen", "127.0.0.1:0"];
    const agent = startLogagent([...args, ...more], { under: limited(descriptors) });
    const [, port] = await agent.says(/metrics are served address=127\.0\.0\.1:(\d+)/);
    const sockets = Array.from({ length: 100 }, () => connect(Number(port), "127.0.0.1").on("error", () => {}));
    try {
      const arrived = async (records: number) => (await values(topic)).length >= records;
      await waitFor("the first lines", () => arrived(paths.length), { timeout: 40_000 });
      write("second");
      await waitFor("the second lines", () => arrived(2 * paths.length), { timeout: 40_000 });
    } finally {
      for (const socket of sockets satisfies Socket[]) socket.destroy();
    }
    expect((await agent.stop()).code).toBe(0);
    expect(agent.stderr).not.toMatch(/refused|memory usage|internal error/);
    const all = await values(topic);
    expect(all.sort()).toEqual(paths.flatMap((path) => [`${path} first`, `${path} second`]).sort());
  }, 120_000);
}

test("--once with more files than may be open ends with every line sent", async () => {
  const { dir, globs, paths } = files(1, 60);
  for (const [open, delivery] of [
    [50, "at-least-once"],
    [20, "exactly-once"],
  ] as const) {
    const topic = await createTopic(brokers, uniqueTopic("once"), 1);
    const args = ["tail", ...globs, "--topic", topic, "--brokers", brokers, "--state", join(dir, topic, "state.jsonl")];
    const result = await logagent([...args, "--once", "--max-open-files", String(open), "--delivery", delivery]);
    expect(result.code).toBe(0);
    const all = await values(topic);
    expect(all.sort()).toEqual(paths.map((path) => `${path} first`).sort());
  }
}, 60_000);

test("a socket that cannot be made for want of descriptors is not called refused", async () => {
  const { dir } = files(1, 1);
  const { classifyConnectionError } = await import("../../src/kafka/network/connection-error.ts");
  const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const say = () => classifyConnectionError(refused, "b:1", "connecting", { tls: false, sasl: null }).message;
  expect(say()).toContain("connection refused");
  const script = join(dir, "scarce.ts");
  const source = JSON.stringify(join(import.meta.dirname, "../../src/kafka/network/connection-error.ts"));
  writeFileSync(
    script,
    `import { openSync } from "node:fs";
    import { classifyConnectionError } from ${source};
    const refused = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    try { for (;;) openSync("/dev/null", "r"); } catch {}
    console.log(classifyConnectionError(refused, "b:1", "connecting", { tls: false, sasl: null }).message);`,
  );
  const child = Bun.spawn([...limited(64), process.execPath, script], { stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toContain("no file descriptor is free for a connection (EMFILE)");
});
