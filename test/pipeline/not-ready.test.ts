/** An input that cannot send, or that is being replaced, still looks after its files. */
import { beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readValues } from "../faults/read-topic.ts";
import { createTopic, endOffsets, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 13000);

const values = (topic: string) => readValues(brokers, topic);

const lines = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `line ${from + i}`);
const text = (list: readonly string[]) => list.map((line) => `${line}\n`).join("");

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  describe(delivery, () => {
    test("generations that come and go before the topic exists arrive", async () => {
      const dir = tempDir("not-ready");
      const log = join(dir, "a.log");
      const topic = uniqueTopic("late");
      writeFileSync(log, "");
      const args = ["--topic", topic, "--brokers", brokers, "--state", join(dir, "s", "state.jsonl")];
      const agent = startLogagent(["tail", log, ...args, "--delivery", delivery, "--from", "beginning"]);
      await agent.says(/following/);
      await agent.says(/no such topic/);
      for (let generation = 0; generation < 5; generation++) {
        appendFileSync(log, text(lines(100, generation * 100)));
        await pause(300);
        renameSync(log, `${log}.1`);
        writeFileSync(log, "");
        await pause(300);
      }
      await createTopic(brokers, topic, 1);
      await waitFor("all lines", async () => (await values(topic)).length >= 500, { timeout: 40_000 });
      expect((await agent.stop()).code).toBe(0);
      expect(await values(topic)).toEqual(lines(500));
    }, 90_000);

    test("a reload keeps what only descriptors lead to", async () => {
      const dir = tempDir("handed-over");
      const log = join(dir, "a.log");
      const config = join(dir, "logagent.yaml");
      const topic = await createTopic(brokers, uniqueTopic("reload"), 1);
      const write = (rate: number) => {
        const input = `{ paths: ${log}, topic: ${topic}, from: beginning, rate_limit: ${rate} }`;
        writeFileSync(`${config}.new`, `delivery: ${delivery}\ninputs:\n  a: ${input}\n`);
        renameSync(`${config}.new`, config);
      };
      writeFileSync(log, text(lines(3000)));
      write(500);
      const state = join(dir, "s", "state.jsonl");
      const agent = startLogagent(["tail", "--config", config, "--brokers", brokers, "--state", state]);
      await waitFor("the first lines", async () => ((await endOffsets(brokers, topic))[0] ?? 0n) > 0n);
      rmSync(log);
      await agent.says(/renamed or deleted/);
      appendFileSync(log, text(lines(10, 3000)));
      write(100_000);
      await agent.says(/configuration was reloaded/);
      await waitFor("all lines", async () => (await values(topic)).length >= 3010, { timeout: 30_000 });
      expect((await agent.stop()).code).toBe(0);
      expect(await values(topic)).toEqual(lines(3010));
    }, 60_000);
  });
}
