/** Stopping the real binary while its only broker is away: bounded, with positions at the last acknowledgement. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { expectEveryLineOnce, expectNothingLost, type Rig, withRig } from "../faults/rig.ts";
import { endOffsets, type KafkaCluster, startKafka, uniqueTopic } from "../kafka/broker.ts";
import { pause, waitFor } from "../support/wait.ts";

let kafka: KafkaCluster;

beforeAll(async () => {
  kafka = await startKafka();
}, 120_000);

afterAll(() => kafka.stop());

/** Lets lines flow, takes the broker away while they do, and lets some more be written. */
async function loseBroker(rig: Rig): Promise<void> {
  rig.load(2_000);
  const received = async () => (await endOffsets(kafka.brokers, rig.options.topic)).reduce((a, b) => a + b, 0n);
  await waitFor("lines in the topic", async () => (await received()) > 500n, { timeout: 30_000, every: 100 });
  kafka.nodes[0]!.pause();
  await pause(500);
  rig.quiet();
}

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  test(`--drain-timeout, ${delivery}: 69, and the next start goes on at the last acknowledgement`, async () => {
    const topic = await kafka.createTopic(uniqueTopic("drain"), 2);
    await withRig({ topic, brokers: kafka.brokers, delivery }, async (rig) => {
      rig.start(["--drain-timeout", "1500ms"]);
      await loseBroker(rig);
      const began = performance.now();
      const result = await rig.end("SIGTERM");
      const took = performance.now() - began;
      kafka.nodes[0]!.resume();
      expect([result?.code, result?.stderr]).toEqual([69, expect.stringContaining("not acknowledged within 1500 ms")]);
      // Far below the time-out of a request: nothing else was waited for.
      expect(took).toBeLessThan(10_000);
      await rig.catchUp();
      const finding = await rig.verdict();
      if (delivery === "exactly-once") expectEveryLineOnce(finding);
      else expectNothingLost(finding);
      // Only what was in flight: the first checkpoint was long before.
      expect(finding.repeated).toBeLessThan(rig.written - 200);
    });
  }, 90_000);
}

test("a second signal quits at once, and nothing is lost", async () => {
  const topic = await kafka.createTopic(uniqueTopic("twice"), 2);
  await withRig({ topic, brokers: kafka.brokers, delivery: "at-least-once" }, async (rig) => {
    const agent = rig.start(["--drain-timeout", "1h"]);
    await loseBroker(rig);
    agent.signal("SIGTERM");
    await agent.says(/a second signal quits at once/);
    expect(agent.running).toBe(true);
    const result = await rig.end("SIGTERM");
    kafka.nodes[0]!.resume();
    expect([result?.code, result?.signal]).toEqual([null, "SIGTERM"]);
    await rig.catchUp();
    expectNothingLost(await rig.verdict());
  });
}, 90_000);
