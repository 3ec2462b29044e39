/** Three nodes, the leaders killed, frozen and restarted in turn: every line once and in order. */
import { expect, test } from "bun:test";
import { pause } from "../support/wait.ts";
import { type KafkaCluster, startKafka, uniqueTopic } from "./broker.ts";
import { clean, judge, plainRoute, readTopic, TestProducer } from "./producing.ts";

/** Kills or freezes one node after the other, always waiting for the last one to be back. */
async function disturb(kafka: KafkaCluster): Promise<void> {
  for (const [i, node] of kafka.nodes.entries()) {
    if (i === 1) {
      node.pause();
      await pause(2_000);
      node.resume();
    } else {
      await node.kill();
      await pause(1_000);
      await node.start();
    }
    await pause(1_000);
  }
}

test("leaders killed and frozen in turn", async () => {
  const kafka = await startKafka({ nodes: 3, config: { "min.insync.replicas": 2 } });
  try {
    const topic = await kafka.createTopic(uniqueTopic("leaders"), 3);
    const producer = new TestProducer(kafka.brokers, { batchBytes: 8_192 });
    await producer.sink.prepare(topic);
    let disturbing = true;
    const fault = disturb(kafka).finally(() => {
      disturbing = false;
    });
    for (let i = 0; disturbing; i++) {
      await producer.feed(plainRoute(topic, { partitioner: i % 2 === 0 ? "sticky" : i % 3 }), 10);
      await pause(2);
    }
    await fault;
    expect(await producer.sink.flush(60_000)).toBe(true);
    expect(producer.positions()).toEqual([[0, producer.end]]);
    await producer.sink.close();
    expect(judge(await readTopic(kafka.direct, topic), producer.total)).toEqual(clean);
    expect(producer.eventsNamed("producer-state-lost")).toEqual([]);
    expect(producer.eventsNamed("broker-unavailable").length).toBeGreaterThan(0);
  } finally {
    await kafka.stop();
  }
}, 150_000);
