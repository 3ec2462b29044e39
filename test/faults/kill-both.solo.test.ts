/**
 * The broker goes away in the middle of the traffic, a moment later the agent is killed, and both come back: what was
 * sent and not acknowledged, what was acknowledged and not in a checkpoint, and transactions nobody ended.
 * Mutants caught: a checkpoint that runs ahead of the acknowledgement; a checkpoint behind its transaction's commit.
 */
import { expect, test } from "bun:test";
import { startKafka, uniqueTopic } from "../kafka/broker.ts";
import { pause } from "../support/wait.ts";
import { type Delivery, expectEveryLineOnce, expectNothingLost, withRig } from "./rig.ts";
import { chance, full } from "./seed.ts";

const rounds = full ? 60 : 2;
const linesPerSecond = 2_000;

test(
  "broker and agents killed together",
  async () => {
    const random = chance("kill both");
    const kafka = await startKafka();
    const node = kafka.nodes[0]!;
    const options = async (delivery: Delivery) => ({
      delivery,
      brokers: kafka.brokers,
      topic: await kafka.createTopic(uniqueTopic("both"), 3),
    });
    try {
      await withRig(await options("at-least-once"), async (one) =>
        withRig(await options("exactly-once"), async (two) => {
          const rigs = [one, two];
          for (const rig of rigs) {
            rig.load(linesPerSecond);
            rig.rotateEvery(1_300);
          }
          for (let round = 0; round < rounds; round++) {
            for (const rig of rigs) rig.start();
            await pause(random.between(1_000, 2_500));
            // Stopped first, so that requests are under way unanswered when it dies.
            node.pause();
            await pause(random.between(0, 2_000));
            for (const rig of rigs) await rig.kill();
            await node.kill();
            await node.start();
          }
          for (const rig of rigs) rig.quiet();
          for (const rig of rigs) {
            await rig.catchUp();
            const finding = await rig.verdict();
            console.log(
              `${rig.options.delivery}: ${rig.written} written, ${finding.received} received, ${finding.repeated} repeated`,
            );
            if (rig === two) expectEveryLineOnce(finding);
            else {
              expectNothingLost(finding);
              expect(finding.repeated).toBeLessThan(rounds * linesPerSecond * 3);
            }
          }
        }),
      );
    } finally {
      await kafka.stop();
    }
  },
  full ? 3_600_000 : 120_000,
);
