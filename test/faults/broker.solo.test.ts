/**
 * The broker is stopped (SIGSTOP), killed and started again while both deliveries write at a steady rate; the agents are
 * never restarted. Nothing may be lost, and without an agent restart nothing may come twice in either mode.
 * Mutants caught: the sequence taken anew for a retry (repeats); retries that end (loss).
 */
import { expect, test } from "bun:test";
import { startKafka, uniqueTopic } from "../kafka/broker.ts";
import { pause } from "../support/wait.ts";
import { expectEveryLineOnce, type Rig, residentPeak, waitUntilReceived, withRig } from "./rig.ts";
import { chance, full } from "./seed.ts";

const rounds = full ? 40 : 1;

test(
  "SIGSTOP, SIGKILL and restart of the only broker",
  async () => {
    const random = chance("broker");
    const kafka = await startKafka();
    const rigs: Rig[] = [];
    try {
      const options = { brokers: kafka.brokers };
      const first = {
        ...options,
        topic: await kafka.createTopic(uniqueTopic("broker"), 4),
        delivery: "at-least-once",
      } as const;
      const second = {
        ...options,
        topic: await kafka.createTopic(uniqueTopic("broker"), 4),
        delivery: "exactly-once",
      } as const;
      await withRig(first, (one) =>
        withRig(second, async (two) => {
          rigs.push(one, two);
          for (const rig of rigs) {
            rig.load(2_000);
            rig.rotateEvery(900);
            rig.start(["--request-timeout", "5s"]);
          }
          const node = kafka.nodes[0]!;
          for (let round = 0; round < rounds; round++) {
            await pause(random.between(1_000, 2_500));
            node.pause();
            await pause(random.between(1_000, 4_000));
            node.resume();
            await pause(random.between(500, 2_000));
            await node.kill();
            await pause(random.between(0, 2_000));
            await node.start();
          }
          await pause(1_000);
          for (const rig of rigs) rig.quiet();
          for (const rig of rigs) {
            await waitUntilReceived(rig);
            const peak = residentPeak(rig.agent!.pid);
            const ended = await rig.end("SIGTERM");
            expect(ended?.code).toBe(0);
            const finding = await rig.verdict();
            console.log(
              `${rig.options.delivery}: ${rig.written} written, ${finding.received} received, peak ${peak} MB`,
            );
            expectEveryLineOnce(finding);
          }
        }),
      );
    } finally {
      await kafka.stop();
    }
  },
  full ? 3_600_000 : 180_000,
);
