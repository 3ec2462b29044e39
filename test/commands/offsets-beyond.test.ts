/** A group's committed offset that the log does not reach: a truncated topic, or one made anew. */
import { beforeAll, expect, test } from "bun:test";
import { commitOffsets, committedOffsets } from "../../src/kafka/admin/groups.ts";
import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../src/observe/log.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { startLogagent } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { cli } from "./cli.ts";

let brokers = "";
let env: Record<string, string> = {};
beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  env = { LOGAGENT_BROKERS: brokers };
}, 60_000);

async function withClient<T>(work: (client: KafkaClient) => Promise<T>): Promise<T> {
  const client = createClient({ brokers: [brokers], clientId: "test" }, silentLog);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

async function committedBeyond(): Promise<{ topic: string; group: string }> {
  const [topic, group] = [await createTopic(brokers, uniqueTopic("beyond"), 1), uniqueTopic("group")];
  expect((await cli(["produce", topic], { env, stdin: "a\nb\n" })).code).toBe(0);
  await withClient((client) => commitOffsets(client, group, [{ topic, partition: 0, offset: 100 }]));
  return { topic, group };
}

const warning = /the log is shorter than the position, going on where --offsets says.*from=100 to=(\d)/g;

test.each([
  ["start", "a\nb\n", "0"],
  ["-1", "b\n", "1"],
  ["end", "", "2"],
])(
  "up to the end, --offsets %s: begins there, said once, and commits",
  async (offsets, printed, to) => {
    const { topic, group } = await committedBeyond();
    const result = await cli(["consume", topic, "-g", group, "-O", offsets, "-e"], { env });
    expect([result.code, result.stdout]).toEqual([0, printed]);
    expect([...result.stderr.matchAll(warning)].map(([, at]) => at)).toEqual([to]);
    expect(await withClient((client) => committedOffsets(client, group))).toMatchObject([{ topic, offset: 2 }]);
  },
  60_000,
);

test("following: begins there, and new records come", async () => {
  const { topic, group } = await committedBeyond();
  const consume = startLogagent(["consume", topic, "-g", group, "-O", "start"], { env });
  await waitFor("what is there", () => consume.stdout === "a\nb\n");
  expect((await cli(["produce", topic, "--value", "c"], { env })).code).toBe(0);
  await waitFor("what is new", () => consume.stdout === "a\nb\nc\n");
  const result = await consume.stop("SIGTERM");
  expect(result.code).toBe(0);
  expect([...result.stderr.matchAll(warning)].map(([, at]) => at)).toEqual(["0"]);
}, 60_000);
