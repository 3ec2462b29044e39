/**
 * Brokers of other make: a real one whose answer to ApiVersions lists what those list. Nothing is sent that is not listed (the
 * proxy hangs up on it, as they do); what is lacking gets a sentence, and the rest works.
 */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { logagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { uniqueTopic } from "./broker.ts";
import { readTopic } from "./producing.ts";
import { proxiedKafka } from "./proxied.ts";

setDefaultTimeout(60_000);

const API_VERSIONS = 18;
const at = proxiedKafka();

/** By API key: the oldest and the latest version that are listed. */
type Table = Readonly<Record<number, readonly [oldest: number, latest: number]>>;

/** What brokers of other make list, roughly: after bug reports (Event Hubs) and what is known of it (Redpanda), no copy of either. */
const tables: Readonly<Record<string, Table>> = {
  "Event Hubs": {
    ...{ 0: [3, 7], 1: [4, 6], 2: [0, 7], 3: [0, 5], 8: [0, 8], 9: [0, 8], 10: [0, 1], 11: [0, 7], 12: [0, 4] },
    ...{ 13: [0, 4], 14: [0, 5], 15: [0, 5], 16: [0, 1], 17: [0, 1], 18: [0, 3], 19: [0, 2], 20: [0, 2], 22: [0, 1] },
    ...{ 36: [0, 1], 37: [0, 1], 42: [0, 0] },
  },
  Redpanda: {
    ...{ 0: [0, 7], 1: [4, 11], 2: [0, 4], 3: [0, 7], 8: [1, 7], 9: [1, 7], 10: [0, 2], 11: [0, 5], 12: [0, 3] },
    ...{ 13: [0, 2], 14: [0, 3], 15: [0, 4], 16: [0, 3], 17: [0, 1], 18: [0, 3], 19: [0, 4], 20: [0, 2], 22: [0, 4] },
    ...{ 24: [0, 1], 25: [0, 1], 26: [0, 1], 28: [0, 3], 32: [0, 1], 35: [0, 1], 36: [0, 1], 37: [0, 1], 42: [0, 1] },
  },
};

let strange: string[] = [];

/** ApiVersions v2 (correlation id, error code, an array of key, oldest and latest version) with the table's entries first. */
function pretend(table: Table): void {
  at.proxy.hook = ({ stage, apiKey, apiVersion, bytes }) => {
    const listed = table[apiKey];
    if (stage === "request" && (!listed || apiVersion < listed[0] || apiVersion > listed[1])) {
      strange.push(`API ${apiKey} version ${apiVersion}`);
      return "close";
    }
    if (stage === "response" && apiKey === API_VERSIONS) list(bytes, table);
    return undefined;
  };
}

/** The answer keeps its size: entries in excess are given a key that nobody asks for. */
function list(response: Buffer, table: Table): void {
  for (let n = response.readInt32BE(6), i = 10; n > 0; n--, i += 6) {
    const key = response.readInt16BE(i);
    const listed = table[key];
    if (!listed) {
      response.writeInt16BE(999, i);
      continue;
    }
    // The broker behind has to speak it.
    response.writeInt16BE(Math.max(listed[0], response.readInt16BE(i + 2)), i + 2);
    response.writeInt16BE(Math.min(listed[1], response.readInt16BE(i + 4)), i + 4);
  }
}

for (const [name, table] of Object.entries(tables)) {
  describe(name, () => {
    beforeEach(() => {
      strange = [];
      pretend(table);
    });
    afterEach(() => expect(strange).toEqual([]));

    const command = (...words: string[]) => logagent([...words, "--brokers", at.kafka.brokers]);

    test("produce, consume with and without a group, and tail", async () => {
      const topic = await at.kafka.createTopic(uniqueTopic("other"), 2);
      const log = join(tempDir("other"), "a.log");
      writeFileSync(log, "tailed\n");
      expect((await command("produce", topic, "--value", "produced")).code).toBe(0);
      const tail = await command("tail", log, "--topic", topic, "--once", "--state", `${log}.state`);
      expect(tail.code, tail.stderr).toBe(0);
      for (const how of [["--exit-at-end"], ["--exit-at-end", "--group", uniqueTopic("g")]]) {
        const read = await command("consume", topic, "-O", "start", ...how);
        expect(read.stdout.trim().split("\n").length, read.stderr).toBe(2);
      }
      expect((await readTopic(at.kafka.direct, topic)).length).toBe(2);
    });

    test("topics and groups: what is there is shown, what is lacking is said", async () => {
      const topic = await at.kafka.createTopic(uniqueTopic("other"), 2);
      const described = await command("topics", "describe", topic, "-o", "json");
      expect(JSON.parse(described.stdout)[0].partitionCount, described.stderr).toBe(2);
      if (table[32]) expect(described.code, described.stderr).toBe(0);
      else {
        expect(described.stderr).toContain("it does not offer DescribeConfigs");
        expect(described.code).toBe(69);
      }
      const listed = await command("groups", "list");
      expect(listed.code, listed.stderr).toBe(0);
      const deleted = await command("topics", "delete", topic);
      expect(deleted.code, deleted.stderr).toBe(0);
    });

    test("exactly once: works, or says what is lacking", async () => {
      const topic = await at.kafka.createTopic(uniqueTopic("other"), 1);
      const log = join(tempDir("other"), "a.log");
      writeFileSync(log, "tailed\n");
      const state = ["--state", `${log}.state`, "--delivery", "exactly-once"];
      const { code, stderr } = await command("tail", log, "--topic", topic, "--once", ...state);
      if (table[28] && (table[9]?.[1] ?? 0) >= 7) expect(code, stderr).toBe(0);
      else {
        expect(stderr).toMatch(/it does not offer|it speaks/);
        expect(code).toBe(69);
      }
    });
  });
}
