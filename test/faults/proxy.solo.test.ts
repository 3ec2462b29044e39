/**
 * A bad network between the agent and the broker: responses lost, frames cut, black holes, one byte a second, seconds of
 * delay, resets, the answer of EndTxn dropped, an outage longer than the transaction time-out. The agents are never
 * restarted: every line once. Mutants caught: a retry under a new sequence, or in another partition.
 */
import { expect, test } from "bun:test";
import { uniqueTopic } from "../kafka/broker.ts";
import { proxiedKafka } from "../kafka/proxied.ts";
import { apiKeys } from "../kafka/proxy.ts";
import { pause } from "../support/wait.ts";
import {
  type Delivery,
  expectEveryLineOnce,
  memoryCap,
  residentPeak,
  throughProxy,
  waitUntilReceived,
  withRig,
} from "./rig.ts";
import { type Chance, chance, full } from "./seed.ts";

const node = proxiedKafka();

const faults: Record<string, (random: Chance) => Promise<void>> = {
  async "lost responses of Produce"(random) {
    node.proxy.hook = ({ stage, apiKey }) =>
      stage === "response" && apiKey === apiKeys.Produce && random.next() < 0.3 ? "close" : undefined;
    await pause(1_500);
  },
  async "lost responses of transactions"(random) {
    const keys: number[] = [
      apiKeys.EndTxn,
      apiKeys.TxnOffsetCommit,
      apiKeys.AddPartitionsToTxn,
      apiKeys.AddOffsetsToTxn,
    ];
    node.proxy.hook = ({ stage, apiKey }) =>
      stage === "response" && keys.includes(apiKey) && random.next() < 0.3 ? "close" : undefined;
    await pause(2_000);
  },
  async "lost responses of EndTxn"(random) {
    node.proxy.hook = ({ stage, apiKey }) =>
      stage === "response" && apiKey === apiKeys.EndTxn && random.next() < 0.6 ? "close" : undefined;
    await pause(2_500);
  },
  async "cut frames"(random) {
    for (let n = 0; n < 4; n++) {
      node.proxy.up = { kind: "cut", bytes: random.between(1, 40_000) };
      node.proxy.down = { kind: "cut", bytes: random.between(1, 2_000) };
      await pause(400);
    }
  },
  async "a network that is away"() {
    node.proxy.up = { kind: "hold" };
    node.proxy.down = { kind: "hold" };
    await pause(full ? 10_000 : 4_000);
  },
  async "responses that vanish"() {
    node.proxy.down = { kind: "drop" };
    await pause(2_000);
  },
  async "one byte a second"() {
    node.proxy.up = { kind: "throttle", bytesPerSecond: 1 };
    await pause(2_500);
  },
  async "five seconds of delay"() {
    node.proxy.up = { kind: "delay", ms: full ? 5_000 : 1_500 };
    node.proxy.down = { kind: "delay", ms: 200 };
    await pause(full ? 12_000 : 3_500);
  },
  async resets(random) {
    for (let n = 0; n < 6; n++) {
      node.proxy.reset();
      await pause(random.between(20, 300));
    }
  },
  async "refused connections"() {
    node.proxy.refuse = true;
    node.proxy.reset();
    await pause(1_500);
  },
};

async function campaign(rounds: number, fault: (round: number, random: Chance) => Promise<void>): Promise<void> {
  const random = chance("proxy");
  const rig = async (delivery: Delivery) =>
    throughProxy(node.kafka, await node.kafka.createTopic(uniqueTopic("proxy"), 4), delivery);
  await withRig(await rig("at-least-once"), async (one) =>
    withRig(await rig("exactly-once"), async (two) => {
      const rigs = [one, two];
      for (const each of rigs) {
        each.load(1_000);
        each.rotateEvery(2_000);
        each.start(["--request-timeout", "3s", "--connect-timeout", "3s"]);
      }
      await pause(1_500);
      try {
        for (let round = 0; round < rounds; round++) {
          await fault(round, random);
          node.proxy.heal();
          await pause(random.between(200, 1_500));
        }
      } finally {
        node.proxy.heal();
      }
      for (const each of rigs) each.quiet();
      for (const each of rigs) {
        await waitUntilReceived(each);
        const peak = residentPeak(each.agent!.pid);
        expect((await each.end("SIGTERM"))?.code).toBe(0);
        const finding = await each.verdict();
        console.log(`${each.options.delivery}: ${each.written} written, ${finding.received} received, peak ${peak} MB`);
        expectEveryLineOnce(finding);
        expect(peak).toBeLessThanOrEqual(memoryCap);
      }
    }),
  );
}

test(
  "every kind of fault in turn",
  async () => {
    const names = Object.keys(faults);
    await campaign(names.length * (full ? 12 : 1), (round, random) => faults[names[round % names.length]!]!(random));
  },
  full ? 3_600_000 : 180_000,
);

test(
  "an outage longer than the transaction time-out",
  async () => {
    await campaign(full ? 5 : 1, async () => {
      node.proxy.up = { kind: "hold" };
      node.proxy.down = { kind: "hold" };
      await pause(18_000);
    });
  },
  full ? 600_000 : 180_000,
);
