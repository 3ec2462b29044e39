import { beforeAll, describe, expect, test } from "bun:test";
import { commitOffsets } from "../../src/kafka/admin/groups.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { kafkaJars } from "../kafka/jars.ts";
import { type Running, run, start } from "../support/process.ts";
import { hasTool, testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";
import { cli } from "./cli.ts";

let brokers = "";
const topic = uniqueTopic("grouped");
beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  await createTopic(brokers, topic, 2);
  const produce = ["kcat", "-P", "-b", brokers, "-t", topic, "-p", "1"];
  if (hasTool("kcat")) await run(produce, { stdin: "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n" });
}, 60_000);

const groups = (...words: string[]) => cli(["groups", ...words], { env: { LOGAGENT_BROKERS: brokers } });
const json = async (...words: string[]) => JSON.parse((await groups(...words, "-o", "json")).stdout);

/** Offsets as an application would have left them. */
async function commit(group: string, offset: number): Promise<void> {
  const client = createClient({ brokers: brokers.split(","), clientId: "test" }, silentLog);
  try {
    await commitOffsets(client, group, [{ topic, partition: 1, offset }]);
  } finally {
    await client.close();
  }
}

describe("a group without members", () => {
  const group = uniqueTopic("group");

  testWith(["kcat"])("is listed and described with its lag", async () => {
    await commit(group, 4);
    expect(await json("list")).toContainEqual({ group, protocolType: expect.any(String), state: "Empty" });
    expect(await json("describe", group)).toMatchObject([
      {
        group,
        state: "Empty",
        members: 0,
        lag: 6,
        partitions: [{ topic, partition: 1, committed: 4, end: 10, lag: 6 }],
      },
    ]);
  });

  testWith(["kcat"])("reset shows the plan first and moves only with --execute", async () => {
    const planned = await groups("reset", group, "--to", "-3");
    expect([planned.code, planned.stderr]).toEqual([0, expect.stringContaining("nothing was changed")]);
    expect(planned.stdout).toMatch(/1 +4 +7 +planned/);
    expect((await json("describe", group))[0].lag).toBe(6);
    const moved = await groups("reset", group, "--to", "-3", "--execute");
    expect([moved.code, moved.stderr]).toEqual([0, ""]);
    expect((await json("describe", group))[0].partitions).toMatchObject([
      { partition: 0, committed: 0, lag: 0 },
      { partition: 1, committed: 7, lag: 3 },
    ]);
    await groups("reset", group, "--to", "start", "--topic", topic, "--partition", "1", "--execute");
    expect((await json("describe", group))[0].lag).toBe(10);
  });

  testWith(["kcat"])("delete takes it away; one that does not exist is a failure", async () => {
    const { code, stdout, stderr } = await groups("delete", group, "nope-nope");
    expect(code).toBe(69);
    expect(stdout).toMatch(new RegExp(`${group} +deleted`));
    expect(stderr).toContain('group "nope-nope": no such group (GROUP_ID_NOT_FOUND)');
    expect((await groups("delete", group, "--if-exists")).code).toBe(0);
    expect((await groups("list", "-o", "name")).stdout.split("\n")).not.toContain(group);
  });
});

test("unknown groups and topics are told with 69", async () => {
  expect(await groups("describe", "nope-nope")).toMatchObject({
    code: 69,
    stderr: expect.stringContaining("no such group"),
  });
  expect((await groups("reset", "nope-nope", "--to", "end")).stderr).toContain("name the topics with --topic");
  expect((await groups("reset", "nope-nope", "--to", "end", "-t", "nope-nope")).stderr).toContain("no such topic");
});

describe.each(["classic", "consumer"])("a group with members, protocol %s", (protocol) => {
  test("is described with its owners and refuses reset and delete", async () => {
    const group = uniqueTopic(protocol);
    const reader = await startReader(group, protocol);
    try {
      const described = await waitFor(
        "the reader's partitions",
        async () => {
          const [found] = await json("describe", group);
          return found?.partitions.length === 2 && found.partitions[0].clientId === "reader" ? found : null;
        },
        { every: 200 },
      );
      expect(described).toMatchObject({ group, state: "Stable", members: 1 });
      expect(described.partitions.map((p: { clientId: string }) => p.clientId)).toEqual(["reader", "reader"]);
      const reset = await groups("reset", group, "--to", "start", "--execute");
      expect([reset.code, reset.stderr]).toEqual([69, expect.stringContaining("stop them first")]);
      expect((await groups("delete", group)).stderr).toContain("stop them first");
    } finally {
      reader.child.kill("SIGKILL");
      await reader.exited;
    }
  }, 60_000);
});

/** Kafka's own consumer: it knows both protocols. */
async function startReader(group: string, protocol: string): Promise<Running> {
  const properties = [`group.protocol=${protocol}`, "client.id=reader"].flatMap((p) => ["--consumer-property", p]);
  const consumer = ["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", brokers, "--topic", topic];
  const java = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", `${await kafkaJars()}/*`];
  return start([...java, ...consumer, "--group", group, ...properties]);
}
