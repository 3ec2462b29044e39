/**
 * kill -9 at every Kafka request of a transaction: before it is sent, after it is sent, before and after its response.
 * Exactly-once: every line once. Also: a dead agent's open transaction ends by itself, so that readers go on.
 */
import { expect, test } from "bun:test";
import { endOffsets, uniqueTopic } from "../kafka/broker.ts";
import { proxiedKafka } from "../kafka/proxied.ts";
import { apiKeys, type Stage } from "../kafka/proxy.ts";
import { logagent } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { expectEveryLineOnce, throughProxy, withRig } from "./rig.ts";
import { full } from "./seed.ts";

const node = proxiedKafka({ "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000 });

const requests = [
  "InitProducerId",
  "AddPartitionsToTxn",
  "Produce",
  "AddOffsetsToTxn",
  "TxnOffsetCommit",
  "EndTxn",
] as const;
const stages: Stage[] = ["request", "sent", "response", "delivered"];

/** Resolves when the n-th request of this kind is at this stage; from then on nothing goes through. */
function reached(apiKey: number, stage: Stage, nth: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) => {
    node.proxy.hook = async (frame) => {
      if (frame.apiKey !== apiKey || frame.stage !== stage || ++seen !== nth) return undefined;
      resolve();
      // A frame that arrives in the moment of the crash: held until the agent is dead, then let go where it is.
      await new Promise<void>((release) => {
        letGo = release;
      });
      return undefined;
    };
  });
}

let letGo = () => {};

for (const name of requests) {
  test(`killed at ${name}, at each stage`, async () => {
    const topic = await node.kafka.createTopic(uniqueTopic("txn"), 3);
    const options = throughProxy(node.kafka, topic, "exactly-once");
    await withRig(options, async (rig) => {
      let reachedCount = 0;
      // The first of a start is its claim of the id, the second carries lines.
      for (const nth of full ? [1, 2, 3, 4] : [1, 2]) {
        for (const stage of stages) {
          for (const writer of rig.writers) writer.write(100);
          const at = reached(apiKeys[name], stage, nth);
          const agent = rig.start(["--once"]);
          const hit = await Promise.race([at.then(() => true), agent.exited.then(() => false)]);
          if (hit) {
            reachedCount++;
            await agent.stop("SIGKILL");
          }
          rig.agent = undefined;
          node.proxy.hook = undefined;
          letGo();
        }
        await rig.catchUp();
      }
      expect(reachedCount).toBeGreaterThanOrEqual(stages.length);
      expectEveryLineOnce(await rig.verdict());
    });
  }, 180_000);
}

test("killed between an input's first commit and whatever comes next, it is bound to its topic", async () => {
  const [topic, other] = [
    await node.kafka.createTopic(uniqueTopic("bound"), 1),
    await node.kafka.createTopic(uniqueTopic("bound")),
  ];
  const options = throughProxy(node.kafka, topic, "exactly-once");
  await withRig({ ...options, files: ["a"] }, async (rig) => {
    rig.writers[0]!.write(100);
    const committed = reached(apiKeys.EndTxn, "response", 2);
    rig.start(["--once"]);
    await committed;
    await rig.kill();
    node.proxy.hook = undefined;
    letGo();
    const elsewhere = rig.words(["--once"]).map((word) => (word === topic ? other : word));
    const refused = await logagent(elsewhere);
    expect([refused.code, refused.stderr]).toEqual([78, expect.stringContaining(`went to topic ${topic} so far`)]);
    await rig.catchUp();
    expectEveryLineOnce(await rig.verdict());
  });
}, 60_000);

test("a dead agent's open transaction ends by itself, and readers go on", async () => {
  const topic = await node.kafka.createTopic(uniqueTopic("txn"), 1);
  const options = throughProxy(node.kafka, topic, "exactly-once");
  await withRig(options, async (rig) => {
    rig.writers[0]!.write(100);
    await rig.catchUp();
    rig.writers[0]!.write(100);
    let produced = false;
    const at = new Promise<void>((resolve) => {
      node.proxy.hook = ({ apiKey, stage }) => {
        if (apiKey === apiKeys.Produce && stage === "delivered") produced = true;
        if (apiKey !== apiKeys.EndTxn || stage !== "request" || !produced) return undefined;
        resolve();
        return "drop";
      };
    });
    rig.start(["--once"]);
    await at;
    await rig.kill();
    node.proxy.hook = undefined;
    const stable = (await endOffsets(node.kafka.direct, topic, true))[0]!;
    expect((await endOffsets(node.kafka.direct, topic, false))[0]!).toBeGreaterThan(stable);
    // transaction.timeout.ms of the agent is 15 s; the coordinator looks every second here, every 10 s by default.
    const began = performance.now();
    await waitFor(
      "the transaction's end",
      async () => {
        return (
          (await endOffsets(node.kafka.direct, topic, true))[0] ===
          (await endOffsets(node.kafka.direct, topic, false))[0]
        );
      },
      { timeout: 30_000, every: 200 },
    );
    console.log(`readers went on after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    await rig.catchUp();
    expectEveryLineOnce(await rig.verdict());
  });
}, 120_000);
