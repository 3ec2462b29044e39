/**
 * A published headline, 250k messages a second in: the bulk path, many lines into four partitions with acks=all;
 * what arrived equals the file by count and by a checksum over the sorted values. The speed is for test/bench to judge.
 */
import { beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { full } from "../faults/seed.ts";
import { makePlace, type Place, values } from "./helpers.ts";

const count = full ? 1_000_000 : 200_000;
let place: Place;

beforeAll(async () => {
  place = await makePlace("headline");
}, 120_000);

const checksum = (lines: string[]) => createHash("sha256").update(lines.sort().join("\n")).digest("hex");

test(`${count} lines of 200 bytes`, async () => {
  const topic = await place.topic("headline", 4);
  const log = place.path("big.log");
  const lines = Array.from({ length: count }, (_, i) => `${i} `.padEnd(199, `${(i * 2_654_435_761) % 4_294_967_296} `));
  writeFileSync(log, `${lines.join("\n")}\n`);
  const began = performance.now();
  const { code, stderr } = await place.run(["tail", log, "--topic", topic, "--once", "--state", place.path("s.jsonl")]);
  const seconds = (performance.now() - began) / 1000;
  expect([code, stderr]).toEqual([0, expect.any(String)]);
  console.log(`${count} lines in ${seconds.toFixed(2)} s with start and end: ${Math.round(count / seconds)} lines/s`);
  const got = await values(place.brokers, topic);
  expect(got).toHaveLength(count);
  expect(checksum(got)).toBe(checksum(lines));
}, 120_000);
