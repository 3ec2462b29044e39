/**
 * Three brokers, each killed in turn while both deliveries write, and between the kills all leaders and coordinators are
 * moved. The agents are never restarted: every line once, within their memory. Mutant caught: retries that end (loss).
 */
import { expect, test } from "bun:test";
import { type KafkaCluster, startKafka, uniqueTopic } from "../kafka/broker.ts";
import { moveLeaders } from "../kafka/move-leaders.ts";
import { metadata } from "../kafka/request.ts";
import { pause, waitFor } from "../support/wait.ts";
import { expectEveryLineOnce, memoryCap, residentNow, residentPeak, waitUntilReceived, withRig } from "./rig.ts";
import { chance, full } from "./seed.ts";

/** The full form goes on until both are reached. */
const atLeast = full ? { kills: 60, seconds: 600 } : { kills: 3, seconds: 0 };

/** Every replica of every topic is in sync again: the next node may go. */
function inSync(kafka: KafkaCluster): Promise<unknown> {
  const some = kafka.nodes.find((node) => node.running)!;
  return waitFor(
    "all replicas in sync",
    async () => {
      const { brokers, topics } = await metadata(some.address, null);
      return brokers.length === 3 && topics.every((topic) => topic.partitions.every(({ isr }) => isr.length === 3));
    },
    { timeout: 90_000, every: 200 },
  );
}

function halves(samples: readonly number[]): [number[], number[]] {
  const middle = Math.floor(samples.length / 2);
  return [samples.slice(0, middle), samples.slice(middle)];
}

test(
  "three brokers killed in turn",
  async () => {
    const random = chance("leaders");
    const kafka = await startKafka({ nodes: 3, jvm: ["-Xmx384m"] });
    try {
      const topics = [
        await kafka.createTopic(uniqueTopic("leaders"), 6),
        await kafka.createTopic(uniqueTopic("leaders"), 6),
      ];
      const { brokers } = kafka;
      await withRig({ brokers, topic: topics[0]!, delivery: "at-least-once" }, (one) =>
        withRig({ brokers, topic: topics[1]!, delivery: "exactly-once" }, async (two) => {
          const rigs = [one, two];
          for (const rig of rigs) {
            rig.load(1_000);
            rig.rotateEvery(1_500);
            rig.start(["--request-timeout", "5s"]);
          }
          await pause(2_000);
          const began = performance.now();
          const seconds = () => Math.round((performance.now() - began) / 1000);
          let kills = 0;
          let moved = 0;
          const resident = new Map(rigs.map((rig) => [rig, [] as number[]]));
          while (kills < atLeast.kills || seconds() < atLeast.seconds) {
            const node = kafka.nodes[kills++ % 3]!;
            await node.kill();
            await pause(random.between(1_500, 4_000));
            await node.start();
            await inSync(kafka);
            moved += await moveLeaders(node.address);
            for (const [rig, samples] of resident) samples.push(residentNow(rig.agent!.pid));
            await pause(random.between(0, 1_000));
          }
          console.log(`${kills} kills, ${moved} leaders moved, ${seconds()} s`);
          expect(moved).toBeGreaterThan(0);
          for (const rig of rigs) rig.quiet();
          const peaks: number[] = [];
          for (const rig of rigs) {
            await waitUntilReceived(rig);
            const peak = residentPeak(rig.agent!.pid);
            expect((await rig.end("SIGTERM"))?.code).toBe(0);
            const finding = await rig.verdict();
            const samples = resident.get(rig)!;
            const [early, late] = halves(samples).map((half) => Math.max(...half)) as [number, number];
            console.log(
              `${rig.options.delivery}: ${rig.written} written, ${finding.received} received; ` +
                `resident at most ${early} MB in the first half, ${late} MB in the second, peak ${peak} MB`,
            );
            expectEveryLineOnce(finding);
            peaks.push(peak);
          }
          // Whether anything is kept for good is judged by the soak.
          for (const peak of peaks) expect(peak).toBeLessThanOrEqual(memoryCap);
        }),
      );
    } finally {
      await kafka.stop();
    }
  },
  full ? 3_600_000 : 300_000,
);
