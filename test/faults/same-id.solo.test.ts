/** Two agents with one id (a cloned machine): one wins, the other says why and exits 78, and no line comes twice. */
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { pause, waitFor } from "../support/wait.ts";
import { expectEveryLineOnce, withRig } from "./rig.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

test("two agents with the same id on different files", async () => {
  const topic = await createTopic(brokers, uniqueTopic("same-id"), 2);
  const flags = ["--agent-id", topic];
  await withRig({ topic, brokers, delivery: "exactly-once", flags, files: ["a"] }, (one) =>
    withRig({ topic, brokers, delivery: "exactly-once", flags, files: ["b"] }, async (two) => {
      const rigs = [one, two];
      for (const rig of rigs) {
        rig.load(500);
        rig.start();
        await pause(1_500);
      }
      await waitFor("one of them to give way", () => rigs.some((rig) => !rig.agent!.running), { timeout: 60_000 });
      await pause(1_000);
      const losers = rigs.filter((rig) => !rig.agent!.running);
      expect(losers).toHaveLength(1);
      const ended = await losers[0]!.agent!.exited;
      expect(ended.code).toBe(78);
      expect(ended.stderr).toContain(topic);
      const winner = rigs.find((rig) => rig !== losers[0])!;
      for (const rig of rigs) rig.quiet();
      await winner.end("SIGTERM");
      await winner.catchUp();
      // The loser's lines wait in its file. What the winner sent is there once, and nothing of either twice.
      const finding = await winner.verdict();
      expect(finding.repeated).toBe(0);
      expect(finding.damaged).toBe(0);
      expect(finding.lost).toBe(0);
      losers[0]!.agent = undefined;
    }),
  );
}, 120_000);

test("a second agent on the same state file is refused", async () => {
  const topic = await createTopic(brokers, uniqueTopic("same-state"), 1);
  await withRig({ topic, brokers, delivery: "at-least-once" }, async (rig) => {
    rig.load(200);
    rig.start();
    await pause(1_000);
    const second = await startLogagent(rig.words()).exited;
    expect(second.code).toBe(74);
    expect(second.stderr).toContain(join(rig.stateDir, "state.jsonl"));
    rig.quiet();
    await rig.end("SIGTERM");
    await rig.catchUp();
    expectEveryLineOnce(await rig.verdict());
  });
}, 60_000);
