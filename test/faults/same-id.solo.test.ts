/** Two agents with one id (a cloned machine): one wins, the other says why and exits 78, and no line comes twice. */
import { beforeAll, expect, test } from "bun:test";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { pause, waitFor } from "../support/wait.ts";
import { expectEveryLineOnce, waitUntilReceived, withRig } from "./rig.ts";

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

test("two agents on the same files, one with a copy of the other's state", async () => {
  const topic = await createTopic(brokers, uniqueTopic("copied"), 2);
  await withRig({ topic, brokers, delivery: "exactly-once" }, async (rig) => {
    for (const writer of rig.writers) writer.write(50);
    await rig.catchUp();
    const copy = join(rig.dir, "copy");
    cpSync(rig.stateDir, copy, { recursive: true });
    rig.load(500);
    const first = rig.start();
    await pause(1_500);
    const second = startLogagent(rig.words().map((word) => (word === rig.state ? join(copy, "state.jsonl") : word)));
    try {
      // The copy's number is behind: either it sees that at its start, or the first is fenced by its claim.
      await waitFor("one of them to give way", () => !first.running || !second.running, { timeout: 60_000 });
      const [loser, winner] = first.running ? [second, first] : [first, second];
      const ended = await loser.exited;
      expect([ended.code, ended.stderr]).toEqual([78, expect.stringMatching(/another agent|copy of the state/)]);
      await pause(1_000);
      expect(winner.running).toBe(true);
      rig.quiet();
      rig.agent = winner;
      await waitUntilReceived(rig);
      expect((await rig.end("SIGTERM"))?.code).toBe(0);
      expectEveryLineOnce(await rig.verdict());
    } finally {
      await second.stop("SIGKILL");
    }
  });
}, 120_000);

test("two agents with the same id that start at the same moment", async () => {
  const topic = await createTopic(brokers, uniqueTopic("at-once"), 2);
  const flags = ["--agent-id", topic];
  await withRig({ topic, brokers, delivery: "exactly-once", flags, files: ["a"] }, (one) =>
    withRig({ topic, brokers, delivery: "exactly-once", flags, files: ["b"] }, async (two) => {
      const rigs = [one, two];
      for (const rig of rigs) {
        rig.load(200);
        rig.start();
      }
      await waitFor("one of them to give way", () => rigs.some((rig) => !rig.agent!.running), { timeout: 60_000 });
      await pause(3_000);
      const losers = rigs.filter((rig) => !rig.agent!.running);
      expect(losers).toHaveLength(1);
      expect((await losers[0]!.agent!.exited).code).toBe(78);
      const winner = rigs.find((rig) => rig !== losers[0])!;
      for (const rig of rigs) rig.quiet();
      await waitUntilReceived(winner);
      expect((await winner.end("SIGTERM"))?.code).toBe(0);
      const finding = await winner.verdict();
      expect([finding.lost, finding.repeated, finding.damaged]).toEqual([0, 0, 0]);
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
