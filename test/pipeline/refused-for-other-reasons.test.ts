/** What the broker refuses because of this host or the topic's settings is no fault of a line: nothing is passed over. */
import { beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readValues } from "../faults/read-topic.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { logagent, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

const values = (topic: string) => readValues(brokers, topic);

const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}`);

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  describe(delivery, () => {
    const files = () => {
      const dir = tempDir("refused");
      const log = join(dir, "a.log");
      writeFileSync(log, `${lines.join("\n")}\n`);
      return { log, args: ["--brokers", brokers, "--state", join(dir, "s.jsonl"), "--delivery", delivery] };
    };

    testWith(["faketime"])(
      "a clock two hours ahead: every line arrives, without a time, and the clock is named",
      async () => {
        const topic = await createTopic(brokers, uniqueTopic("clock"), 1);
        const { log, args } = files();
        const under = ["faketime", "--exclude-monotonic", "-f", "+2h"];
        const flags = ["tail", log, "--topic", topic, "--from", "beginning", "--once", ...args];
        const { code, stderr } = await logagent(flags, { under });
        expect(stderr).toContain("the broker refuses this host's time");
        expect(code).toBe(0);
        expect(await values(topic)).toEqual(lines);
      },
      60_000,
    );

    test("a compacted topic that takes no line without a key: they wait until its settings change", async () => {
      const topic = await createTopic(brokers, uniqueTopic("compacted"), 1);
      const alter = (policy: string) =>
        logagent(["topics", "alter", topic, "--brokers", brokers, "--config", `cleanup.policy=${policy}`]);
      expect((await alter("compact")).code).toBe(0);
      const { log, args } = files();
      const agent = startLogagent(["tail", log, "--topic", topic, "--from", "beginning", ...args]);
      await agent.says(/INVALID_RECORD.*without key/i);
      expect(await values(topic)).toEqual([]);
      expect((await alter("delete")).code).toBe(0);
      await waitFor("the lines to arrive", async () => (await values(topic)).length >= lines.length);
      expect((await agent.stop()).code).toBe(0);
      expect(await values(topic)).toEqual(lines);
    }, 60_000);
  });
}

test("produce: a time out of the topic's range is the record's own fault", async () => {
  const topic = await createTopic(brokers, uniqueTopic("times"), 1);
  const records = [0, 4e12, 0].map((ahead, i) => JSON.stringify({ value: `v${i}`, timestamp: Date.now() + ahead }));
  const stdin = `${records.join("\n")}\n`;
  const result = await logagent(["produce", topic, "--brokers", brokers, "--input-format", "json"], { stdin });
  expect(result.code).toBe(65);
  expect(result.stderr).toContain("INVALID_TIMESTAMP");
  expect(await values(topic)).toEqual(["v0", "v2"]);
});
