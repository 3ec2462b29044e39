/**
 * kill -9 of the agent at random moments, under load and rotation. Full: 500 kills each. At-least-once may repeat, after
 * each kill at most what came since the last checkpoint (1 s) and what was in flight; exactly-once may not.
 * Mutants caught: a checkpoint written before the acknowledgement; the old file dropped at its rename.
 */
import { beforeAll, expect, test } from "bun:test";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { pause } from "../support/wait.ts";
import { type Delivery, expectEveryLineOnce, expectNothingLost, withRig } from "./rig.ts";
import { chance, full } from "./seed.ts";

const kills = full ? 500 : 8;
const linesPerSecond = 5_000;
/**
 * 1 s of traffic since the last checkpoint and what was in flight meanwhile: two intervals. Twice that, since an agent that
 * starts sends what was written while it was down and another kill may come before its first checkpoint.
 */
const bound = 4 * linesPerSecond;
let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

async function campaign(delivery: Delivery): Promise<void> {
  const random = chance(`kill -9, ${delivery}`);
  const topic = await createTopic(brokers, uniqueTopic("kill"), 4);
  await withRig({ topic, brokers, delivery }, async (rig) => {
    rig.load(linesPerSecond);
    // A killed agent holds no deleted file: where the machine starves it, a backup must not go before it was read.
    rig.rotateEvery(700, Number.POSITIVE_INFINITY);
    for (let n = 0; n < kills; n++) {
      rig.start();
      await pause(random.between(100, 2_500));
      await rig.kill();
      await pause(random.between(0, 400));
    }
    rig.quiet();
    await rig.catchUp();
    const finding = await rig.verdict();
    const perKill = finding.repeatedPerMark.sort((a, b) => a - b);
    const [median, largest] = [perKill[kills >> 1]!, perKill[kills - 1]!];
    console.log(
      `${delivery}: ${kills} kills, ${rig.written} written, ${finding.received} received, ${finding.lost} lost, ${finding.repeated} repeated; per kill median ${median}, largest ${largest}, bound ${bound}`,
    );
    if (delivery === "exactly-once") expectEveryLineOnce(finding);
    else {
      expectNothingLost(finding);
      expect(largest).toBeLessThan(bound);
    }
  });
}

test(`at-least-once: ${kills} kills lose nothing`, () => campaign("at-least-once"), full ? 7_200_000 : 180_000);
test(
  `exactly-once: ${kills} kills lose and repeat nothing`,
  () => campaign("exactly-once"),
  full ? 7_200_000 : 180_000,
);
