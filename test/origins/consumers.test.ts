/**
 * What LogAgent's consumers did: all partitions from the newest offset, printing partition, offset, key, value; from the
 * beginning; consumer groups that share partitions and resume.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { pause, waitFor } from "../support/wait.ts";
import { makePlace, type Place } from "./helpers.ts";

let place: Place;

beforeAll(async () => {
  place = await makePlace("consumers");
}, 120_000);

afterAll(() => place.stopAll());

const send = async (topic: string, values: readonly string[], flags: readonly string[] = []) => {
  const { code, stderr } = await place.run(["produce", topic, ...flags], { stdin: `${values.join("\n")}\n` });
  expect([code, stderr]).toEqual([0, ""]);
};

test("from the newest offset of all partitions, with partition, offset, key and value", async () => {
  const topic = await place.topic("newest", 3);
  await send(topic, ["old"], ["--partition", "1"]);
  const consumer = place.start(["consume", topic, "--print-offsets", "--count", "3"]);
  // It has taken the end of each partition once a probe sent to one of them arrives.
  let probes = 0;
  await waitFor("the consumer to see a probe", async () => {
    await send(topic, [`probe ${++probes}`], ["--partition", "0", "--key", "k"]);
    await pause(300);
    return consumer.stdout.includes("probe");
  });
  await send(topic, ["one"], ["--partition", "1", "--key", "k1"]);
  await send(topic, ["two"], ["--partition", "2", "--key", "k2"]);
  const { code, stdout } = await consumer.exited;
  expect(code).toBe(0);
  expect(stdout).not.toContain("old");
  expect(stdout).toMatch(/^partition=0 offset=\d+ key=k value=probe \d+$/m);
  const rest = stdout.trimEnd().split("\n").slice(1).join("\n");
  expect(rest).toMatch(
    /^partition=(1 offset=1 key=k1 value=one|2 offset=0 key=k2 value=two|0 offset=\d+ key=k value=probe \d+)$/m,
  );
}, 60_000);

test("from the beginning", async () => {
  const topic = await place.topic("beginning", 3);
  for (const partition of ["0", "1", "2"])
    await send(topic, [`a${partition}`, `b${partition}`], ["--partition", partition]);
  const { code, stdout } = await place.run(["consume", topic, "--offsets", "start", "--exit-at-end"]);
  expect(code).toBe(0);
  expect(stdout.trimEnd().split("\n").sort()).toEqual(["a0", "a1", "a2", "b0", "b1", "b2"]);
});

test("a group shares the partitions and resumes where it stopped", async () => {
  const topic = await place.topic("group", 4);
  const group = ["--group", topic];
  const partitions = ["0", "1", "2", "3"];
  const sendAll = async (round: number) => {
    for (const partition of partitions) await send(topic, [`${round}-${partition}`], ["--partition", partition]);
  };
  await sendAll(0);
  const words = ["consume", topic, ...group, "--offsets", "start", "--format", "%p %v\\n"];
  const members = [place.start(words), place.start(words)];
  const got = () => members.map((member) => member.stdout.trim().split("\n").filter(Boolean));
  await waitFor("the first round", () => got().flat().length >= 4, { timeout: 60_000 });
  // Once both are in, a round is shared: two partitions each.
  let round = 0;
  await waitFor(
    "both to have partitions",
    async () => {
      round++;
      await sendAll(round);
      await waitFor(
        `round ${round}`,
        () =>
          got()
            .flat()
            .filter((line) => line.includes(` ${round}-`)).length >= 4,
      );
      return got().every((lines) => lines.filter((line) => line.includes(` ${round}-`)).length === 2);
    },
    { timeout: 60_000 },
  );
  for (const member of members) expect((await member.stop("SIGTERM")).code).toBe(0);
  const before = got().flat();
  await send(topic, ["later"], ["--partition", "3"]);
  const resumed = await place.run([...words, "--count", "1"]);
  expect([resumed.code, resumed.stdout]).toEqual([0, "3 later\n"]);
  expect(new Set(before).size).toBe(before.length);
}, 120_000);
