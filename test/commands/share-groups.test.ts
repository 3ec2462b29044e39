/** Groups of a kind that has no committed offsets, on a node that has share groups. */
import { expect, test } from "bun:test";
import { startKafka } from "../kafka/broker.ts";
import { kafkaJars } from "../kafka/jars.ts";
import { run, start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { cli } from "./cli.ts";

test("a share group is no consumer group, and describe says so", async () => {
  const config = {
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
  };
  const kafka = await startKafka({ config });
  const jvm = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", `${await kafkaJars()}/*`];
  const env = { LOGAGENT_BROKERS: kafka.brokers };
  try {
    const to = ["--bootstrap-server", kafka.brokers];
    const feature = ["upgrade", "--feature", "share.version=1"];
    const upgraded = await run([...jvm, "org.apache.kafka.tools.FeatureCommand", ...to, ...feature]);
    expect([upgraded.code, upgraded.stdout]).toEqual([0, expect.stringContaining("share.version")]);
    const topic = await kafka.createTopic("shared", 1);
    const consumer = ["org.apache.kafka.tools.consumer.ConsoleShareConsumer", ...to, "--topic", topic];
    const reader = start([...jvm, ...consumer, "--group", "sharers"]);
    try {
      const listed = async () => (await cli(["groups", "list", "-o", "name"], { env })).stdout.includes("sharers\n");
      await waitFor("the group", listed, { timeout: 30_000, every: 300 });
      const { code, stderr } = await cli(["groups", "describe", "sharers"], { env });
      expect([code, stderr]).toEqual([69, expect.stringContaining('group "sharers" is a share group')]);
    } finally {
      await reader.stop("SIGTERM");
    }
  } finally {
    await kafka.stop();
  }
}, 120_000);
