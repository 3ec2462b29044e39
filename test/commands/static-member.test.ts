/** Static members of a group (KIP-345): `consume --group-instance`. */
import { beforeAll, expect, test } from "bun:test";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { type Running, start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import { main } from "./cli.ts";

let brokers = "";
let producer: Producer;

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  producer = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  return () => producer.disconnect();
}, 60_000);

/** A topic with two partitions and what tests do with it. */
async function makeGroup() {
  const topic = await createTopic(brokers, uniqueTopic("static"), 2);
  const group = uniqueTopic("group");
  const member = (id: string, session = "30s") =>
    start(
      [...main, "consume", "-b", brokers, topic, "-g", group, "-O", "start"].concat([
        "--group-instance",
        id,
        "--session-timeout",
        session,
        "--log-level",
        "debug",
      ]),
    );
  const put = (text: string) =>
    producer.send({ topic, messages: [0, 1].map((partition) => ({ partition, value: `${text}${partition}` })) });
  return { member, put };
}

const joins = ({ stderr }: Running) => [...stderr.matchAll(/joined the group.* partitions=(.+)\n/g)].map(([, p]) => p);
const lines = (...members: Running[]) => members.flatMap(({ stdout }) => stdout.split("\n").slice(0, -1)).sort();

/** Two members with a partition each. The first one leads the group. */
async function both(member: (id: string) => Running): Promise<[Running, Running]> {
  const a = member("a");
  await a.says(/joined the group/);
  const b = member("b");
  await waitFor("both to have a partition", () => joins(a).length === 2 && joins(b).length === 1);
  return [a, b];
}

for (const [which, role] of [
  [0, "leader"],
  [1, "follower"],
] as const) {
  test(`a ${role} that restarts keeps its partition, and the other one notices nothing`, async () => {
    const { member, put } = await makeGroup();
    const members = await both(member);
    const stays = members[1 - which] as Running;
    const goes = members[which] as Running;
    const [own] = joins(goes).slice(-1);
    await put("before-");
    await waitFor("the first records", () => lines(...members).length === 2);
    expect((await goes.stop("SIGTERM")).code).toBe(0);
    await put("while-");
    await waitFor("the other's own record", () => lines(stays).length === 2);
    const again = member(which === 0 ? "a" : "b");
    await waitFor("the record that came meanwhile", () => lines(again).length === 1);
    await put("after-");
    await waitFor("the last records", () => lines(again).length === 2 && lines(stays).length === 3);
    expect(joins(again)).toEqual([own]);
    expect(joins(stays).length).toBe(which === 0 ? 1 : 2);
    expect(lines(goes, again, stays)).toEqual(
      ["before-", "while-", "after-"].flatMap((text) => [`${text}0`, `${text}1`]).sort(),
    );
    for (const one of [again, stays]) expect((await one.stop()).code).toBe(0);
  }, 60_000);
}

test("a second member with the same id takes the place of the first, which ends with 78 and says why", async () => {
  const { member, put } = await makeGroup();
  const first = member("same", "6s");
  await first.says(/joined the group/);
  await put("one-");
  await waitFor("the first records", () => lines(first).length === 2);
  const second = member("same", "6s");
  await second.says(/joined the group/);
  const { code, stderr } = await first.exited;
  expect(stderr).toMatch(/group ".*": another member runs as "same"; .*--group-instance/);
  expect(code).toBe(78);
  await put("two-");
  await waitFor("the second records", () => lines(second).filter((line) => line.startsWith("two-")).length === 2);
  expect((await second.stop()).code).toBe(0);
}, 60_000);
