/** A refusal that waiting mends is told, with its code, once it lasts: for both deliveries and also by `--once`. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { codes } from "../../src/kafka/protocol/errors.ts";
import { startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { uniqueTopic } from "./broker.ts";
import { readTopic } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";
import { apiKeys } from "./proxy.ts";

setDefaultTimeout(60_000);

const at = proxiedKafka();

for (const delivery of ["at-least-once", "exactly-once"]) {
  test(`${delivery}: too few replicas in sync`, async () => {
    const topic = await at.kafka.createTopic(uniqueTopic("isr"), 1);
    const log = join(tempDir("isr"), "a.log");
    writeFileSync(log, "line\n");
    // In Produce's answer: correlation id, one topic, its name, one partition, its number, the code.
    const code = 4 + 4 + 2 + topic.length + 4 + 4;
    at.proxy.hook = ({ stage, apiKey, bytes }) => {
      if (stage === "response" && apiKey === apiKeys.Produce) bytes.writeInt16BE(codes.NOT_ENOUGH_REPLICAS, code);
      return undefined;
    };
    const flags = ["--brokers", at.kafka.brokers, "--state", `${log}.state`, "--delivery", delivery];
    const agent = startLogagent(["tail", log, "--topic", topic, "--once", ...flags]);
    await agent.says(/producing to topic .* failed: NOT_ENOUGH_REPLICAS \(19\), for \d+ s now .*min\.insync\.replicas/);
    expect(agent.stderr.match(/NOT_ENOUGH_REPLICAS/g)?.length).toBe(1);
    at.proxy.heal();
    expect((await agent.exited).code).toBe(0);
    expect((await readTopic(at.kafka.direct, topic)).map(({ value }) => String(value))).toEqual(["line"]);
  });
}
