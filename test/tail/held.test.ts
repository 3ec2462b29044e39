/** Case 14 of the prior art with the real binary and a broker that is really away. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readTopic } from "../faults/read-topic.ts";
import { type KafkaCluster, startKafka, uniqueTopic } from "../kafka/broker.ts";
import { freePorts } from "../kafka/ports.ts";
import { startLogagent } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";

let kafka: KafkaCluster;
beforeAll(async () => {
  kafka = await startKafka();
}, 120_000);
afterAll(() => kafka?.stop());

test("14. vector#21998, #8591, beats#2395: broker away, ten files rotated and deleted: held up to a cap, drops are counted", async () => {
  const dir = tempDir("held");
  const topic = await kafka.createTopic(uniqueTopic("held"), 1);
  const path = join(dir, "app.log");
  const metrics = `127.0.0.1:${(await freePorts(1))[0]}`;
  const agent = startLogagent(
    ["tail", path, "--topic", topic, "--brokers", kafka.brokers, "--from", "beginning", "--no-watch"].concat(
      ["--poll-max", "50ms", "--buffer-memory", "1MiB", "--max-held", "4MB", "--metrics-listen", metrics],
      ["--state", join(dir, "state.jsonl")],
    ),
  );
  try {
    writeFileSync(path, "first\n");
    const received: string[] = [];
    const read = async () => {
      received.length = 0;
      await readTopic(kafka.brokers, topic, (_, value) => received.push(value));
      return received;
    };
    await waitFor("the first line", async () => (await read()).includes("first"), { every: 300 });
    await kafka.nodes[0]!.kill();
    const line = (file: number, number: number) => `${file} ${number} `.padEnd(999, "x");
    const files = 10;
    const lines = 2000;
    const held = () => {
      const links = readdirSync(`/proc/${agent.pid}/fd`).map((fd) => {
        try {
          return readlinkSync(`/proc/${agent.pid}/fd/${fd}`);
        } catch {
          return "";
        }
      });
      return links.filter((link) => link.startsWith(path)).length;
    };
    for (let file = 0; file < files; file++) {
      unlinkSync(path);
      writeFileSync(path, Array.from({ length: lines }, (_, i) => `${line(file, i)}\n`).join(""));
      await pause(400);
    }
    unlinkSync(path);
    const lost = async () => {
      const text = await (await fetch(`http://${metrics}/metrics`)).text();
      return Number(/^logagent_lost_bytes_total\{.*unreachable.*\} (\d+)/m.exec(text)?.[1] ?? 0);
    };
    const written = files * lines * 1000;
    await waitFor("what is beyond the cap to be let go", async () => written - (await lost()) <= 6_000_000, {
      every: 200,
    });
    if (process.platform === "linux") expect(held()).toBeLessThanOrEqual(4);
    const gone = await lost();
    await kafka.nodes[0]!.start();
    const whole = (written - gone) / 1000;
    await waitFor("what was held", async () => (await read()).length >= whole + 1, { every: 1000, timeout: 60_000 });
    expect(await lost()).toBe(gone);
    expect(received.length - 1).toBe(whole);
    expect(new Set(received).size).toBe(received.length);
    const last = Array.from({ length: lines }, (_, i) => line(files - 1, i));
    expect(received.slice(-lines)).toEqual(last);
  } finally {
    await agent.stop("SIGKILL");
    removeDir(dir);
  }
}, 120_000);
