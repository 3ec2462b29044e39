/**
 * The real program before a broker that lies: every other answer is broken in one field. No command ends as a bug, none
 * takes more than its memory, each hears SIGTERM, and the agent goes on with the broker that answers rightly again.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Running, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";
import { uniqueTopic } from "./broker.ts";
import { overwritten, seeded } from "./mutate.ts";
import { readTopic } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";

setDefaultTimeout(120_000);

const at = proxiedKafka();
const API_VERSIONS = 18;

/** Breaks that share of the answers from now on; counts them. */
function lie(seed: number, share: number): { told: number } {
  const random = seeded(seed);
  const lies = { told: 0 };
  at.proxy.hook = ({ stage, bytes }) => {
    if (stage !== "response" || random() >= share) return undefined;
    lies.told++;
    overwritten(bytes.subarray(4), random).copy(bytes, 4);
    return undefined;
  };
  return lies;
}

/** The most that the process was resident so far, MB; 0 of one that has just ended. */
function peak(running: Running): number {
  const kilobytes = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, "utf8"))?.[1];
  return Number(kilobytes ?? 0) / 1024;
}

for (const delivery of ["at-least-once", "exactly-once"]) {
  test(`tail, ${delivery}: five agents before lies; what comes after them arrives`, async () => {
    const topic = uniqueTopic("lies");
    await at.kafka.createTopic(topic, 2);
    const dir = tempDir("hostile");
    const log = join(dir, "a.log");
    writeFileSync(log, "");
    const flags = ["tail", log, "--topic", topic, "--brokers", at.kafka.brokers, "--state", join(dir, "s.jsonl")];
    const start = () => startLogagent([...flags, "--delivery", delivery, "--drain-timeout", "1s"]);
    const lies = lie(3, 0.5);
    let lines = 0;
    for (let i = 0; i < 5; i++) {
      const agent = start();
      const enough = lies.told + 30;
      const end = performance.now() + 3000;
      // A lie about the throttle time makes it wait: then the next agent goes on.
      await waitFor("lies", () => {
        appendFileSync(log, `during ${lines++}\n`);
        return lies.told >= enough || !agent.running || performance.now() > end;
      });
      if (agent.running) expect(peak(agent)).toBeLessThan(150);
      const { code, signal, stderr } = await agent.stop("SIGTERM", 10_000);
      expect(signal, stderr).toBe(null);
      // A refusal that a lie made up may end it, as the same word of an honest broker would.
      expect([0, 69, 77, 78], stderr).toContain(code as number);
    }
    expect(lies.told).toBeGreaterThan(30);
    at.proxy.heal();
    const agent = start();
    appendFileSync(log, "after\n");
    const arrived = async () => (await readTopic(at.kafka.direct, topic)).map(({ value }) => String(value));
    await waitFor("the line behind the lies", async () => (await arrived()).includes("after"));
    expect((await agent.stop()).code).toBe(0);
  });
}

test("commands: none ends as a bug, each ends", async () => {
  const topic = uniqueTopic("lies");
  await at.kafka.createTopic(topic, 2);
  const brokers = ["--brokers", at.kafka.brokers];
  const commands = [
    ["topics", "list"],
    ["topics", "describe", topic],
    ["topics", "offsets", topic],
    ["groups", "list"],
    ["groups", "describe", "none"],
    ["produce", topic, "--value", "x"],
    ["consume", topic, "-O", "start", "--exit-at-end"],
    ["consume", topic, "-O", "start", "--count", "1", "--group", "lied-to"],
  ];
  const random = seeded(5);
  for (let round = 0; round < 3; round++) {
    const running = commands.map((words) => {
      const child = startLogagent([...words, ...brokers]);
      return { words, child };
    });
    const lies = lie(Math.floor(random() * 1e6), 0.4);
    await waitFor("some lies", () => lies.told > 20 || running.every(({ child }) => !child.running));
    for (const { words, child } of running) {
      if (child.running) expect(peak(child), words.join(" ")).toBeLessThan(150);
      const { code, signal, stderr } = await child.stop("SIGTERM", 10_000);
      expect(signal, `${words.join(" ")}: ${stderr}`).not.toBe("SIGKILL");
      expect(code, `${words.join(" ")}: ${stderr}`).not.toBe(70);
    }
    at.proxy.heal();
  }
});

test("an endless answer to ApiVersions, a size that no answer has, words of another protocol: said, and tried again", async () => {
  let connections = 0;
  const said = [
    Buffer.from([0x7f, 0xff, 0xff, 0xff]),
    Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
    Buffer.alloc(8, 0xff),
  ];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write(said[connections++ % said.length] as Buffer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const dir = tempDir("hostile");
  const log = join(dir, "a.log");
  writeFileSync(log, "x\n");
  const agent = startLogagent(["tail", log, "-t", "any", "-b", `127.0.0.1:${port}`, "--state", join(dir, "s.jsonl")]);
  await waitFor("several tries", () => connections >= 4);
  expect(agent.stderr).toContain("this is not Kafka's protocol");
  expect(agent.running).toBe(true);
  expect((await agent.stop("SIGTERM", 10_000)).signal).toBe(null);
  server.close();
});

test("one lie after another in the handshake alone", async () => {
  const random = seeded(9);
  let told = 0;
  at.proxy.hook = ({ stage, apiKey, bytes }) => {
    if (stage !== "response" || apiKey !== API_VERSIONS || told >= 30) return undefined;
    told++;
    overwritten(bytes.subarray(4), random).copy(bytes, 4);
    return undefined;
  };
  for (let i = 0; i < 5; i++) {
    const child = startLogagent(["topics", "list", "--brokers", at.kafka.brokers]);
    const { code, stderr } = await child.exited;
    expect([0, 69], stderr).toContain(code as number);
  }
});
