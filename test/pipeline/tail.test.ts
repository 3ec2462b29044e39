/** `logagent tail` as users run it: the binary against a real broker. */
import { beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deleteTopics } from "../../src/kafka/admin/topics.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../src/observe/log.ts";
import { Oracle } from "../faults/oracle.ts";
import { readTopic, readValues } from "../faults/read-topic.ts";
import { expectEveryLineOnce, expectNothingLost, withRig } from "../faults/rig.ts";
import { createTopic, endOffsets, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { LineWriter, readLine } from "../support/lines.ts";
import { logagent, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";

let brokers = "";

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
}, 120_000);

const values = (topic: string) => readValues(brokers, topic);

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function deleteTopic(topic: string): Promise<void> {
  const client = createClient({ brokers: brokers.split(","), clientId: "test" }, silentLog);
  try {
    await client.connect();
    await deleteTopics(client, [topic]);
    await waitFor("the topic to be gone", async () => (await client.metadata([topic])).topics[0]?.errorCode === 3);
  } finally {
    await client.close();
  }
}

describe("stops and kills under load", () => {
  for (const delivery of ["at-least-once", "exactly-once"] as const) {
    test(`SIGTERM five times, ${delivery}: every line once`, async () => {
      const topic = await createTopic(brokers, uniqueTopic("term"), 4);
      await withRig({ topic, brokers, delivery }, async (rig) => {
        rig.load(2_000);
        for (let n = 0; n < 5; n++) {
          rig.start();
          if (n === 0) await rig.agent?.says(/following/);
          await pause(900);
          const result = await rig.end("SIGTERM");
          expect(result?.code).toBe(0);
        }
        rig.quiet();
        await rig.catchUp();
        expectEveryLineOnce(await rig.verdict());
      });
    }, 90_000);
  }

  test("kill -9 five times, at-least-once: nothing lost, repeats within two seconds of lines a kill", async () => {
    const topic = await createTopic(brokers, uniqueTopic("kill"), 4);
    await withRig({ topic, brokers, delivery: "at-least-once" }, async (rig) => {
      rig.load(2_000);
      for (let n = 0; n < 5; n++) {
        rig.start();
        if (n === 0) await rig.agent?.says(/following/);
        await pause(1_100);
        await rig.kill();
      }
      rig.quiet();
      await rig.catchUp();
      const finding = await rig.verdict();
      expectNothingLost(finding);
      expect(finding.repeated).toBeLessThan(5 * 2 * 2_000);
    });
  }, 90_000);
});

for (const delivery of ["at-least-once", "exactly-once"] as const) {
  test(`a topic that is deleted while lines flow is created again with --create-topic, ${delivery}`, async () => {
    const topic = uniqueTopic("again");
    const options = { topic, brokers, delivery, files: ["a"], flags: ["--create-topic", "2"] };
    await withRig(options, async (rig) => {
      const [writer] = rig.writers;
      const agent = rig.start();
      writer!.write(50);
      await waitFor("the first lines", async () => (await values(topic).catch(() => [])).length === 50);
      await deleteTopic(topic);
      writer!.write(50);
      await waitFor("its return", () => agent.stderr.match(/the topic was created/g)?.length === 2);
      writer!.write(50);
      await waitFor("the last lines", async () => (await values(topic)).length >= 100);
      expect((await rig.end("SIGTERM"))?.code).toBe(0);
      const numbers = (await values(topic)).map((value) => readLine(value)?.number);
      expect(numbers).toEqual(upTo(51, 150));
      expect((await endOffsets(brokers, topic)).length).toBe(2);
    });
  }, 90_000);
}

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  test(`exactly-once, ended by ${signal} while its only topic is gone: the next start goes on`, async () => {
    const topic = await createTopic(brokers, uniqueTopic("gone"), 1);
    await withRig({ topic, brokers, delivery: "exactly-once", files: ["a"] }, async (rig) => {
      const [writer] = rig.writers;
      const agent = rig.start();
      writer!.write(50);
      await waitFor("the first lines", async () => (await values(topic)).length === 50);
      await deleteTopic(topic);
      writer!.write(50);
      await agent.says(/the topic is missing/);
      const ended = await rig.end(signal);
      if (signal === "SIGTERM") {
        expect([ended?.code, ended?.stderr]).toEqual([
          69,
          expect.stringMatching(/wait for topic ".*", which is missing/),
        ]);
      }
      await createTopic(brokers, topic, 1);
      await rig.catchUp();
      expect((await values(topic)).map((value) => readLine(value)?.number)).toEqual(upTo(51, 100));
    });
  }, 90_000);
}

test("twenty inputs, ten edits of the config file while lines flow: every line once", async () => {
  const dir = tempDir("reload");
  const topic = await createTopic(brokers, uniqueTopic("reload"), 4);
  const config = join(dir, "logagent.yaml");
  const names = Array.from({ length: 20 }, (_, i) => `in${String(i).padStart(2, "0")}`);
  const writers = new Map(names.map((name) => [name, new LineWriter(join(dir, `${name}.log`), name)]));
  const yaml = (active: readonly string[], changed: readonly string[] = []) => {
    const inputs = active.map((name) => {
      const more = changed.includes(name) ? "\n    rate_limit: 100000" : "";
      return `  ${name}:\n    paths: ["${join(dir, name)}.log"]${more}\n`;
    });
    return `defaults:\n  topic: ${topic}\n  key: "{input}"\n  from: beginning\ninputs:\n${inputs.join("")}`;
  };
  const write = (text: string) => {
    writeFileSync(`${config}.new`, text);
    renameSync(`${config}.new`, config);
  };
  write(yaml(names));
  const agent = startLogagent([
    "tail",
    "--config",
    config,
    "--brokers",
    brokers,
    "--state",
    join(dir, "s/state.jsonl"),
  ]);
  const load = setInterval(() => {
    for (const writer of writers.values()) writer.write(2);
  }, 20);
  try {
    await agent.says(/following/);
    const edits = [
      () => write(yaml(names.slice(1))),
      () => write(yaml(names.slice(1), ["in05", "in06"])),
      () => write("inputs: [this is broken"),
      () => write(yaml(names, ["in06"])),
      () => write(yaml(names.slice(0, 15))),
      () => write(`${yaml(names)}surplus: 1\n`),
      () => write(yaml(names, ["in01", "in02", "in03"])),
      () => write(yaml(names.slice(5), ["in10"])),
      () => {
        writeFileSync(config, yaml(names));
        agent.child.kill("SIGHUP");
      },
      () => write(yaml(names, ["in19"])),
    ];
    for (const edit of edits) {
      edit();
      await pause(700);
    }
    await agent.says(/is not used, the old one stays/);
    clearInterval(load);
    const total = () => [...writers.values()].reduce((sum, { written }) => sum + written, 0);
    await waitFor("all lines", async () => (await values(topic)).length >= total(), { timeout: 30_000, every: 500 });
  } finally {
    clearInterval(load);
  }
  expect((await agent.stop()).code).toBe(0);
  const oracle = new Oracle();
  await readTopic(brokers, topic, (partition, value) => oracle.add(partition, value));
  expectEveryLineOnce(oracle.judge(new Map([...writers].map(([name, { written }]) => [name, written]))));
}, 90_000);

describe("tail", () => {
  const dir = tempDir("tail");
  const file = (name: string, text: string) => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };
  const state = () => ["--state", join(dir, uniqueTopic("state"), "state.jsonl")];
  const tail = (...words: string[]) => logagent(["tail", "--brokers", brokers, ...words]);

  test("--once sends up to the sizes at the start, leaves the unterminated rest and goes on there later", async () => {
    const path = file("once.log", "one\ntwo\r\n\nthr");
    const topic = uniqueTopic("once");
    const where = ["--topic", topic, "--create-topic", "1", ...state(), "--once"];
    const first = await tail(path, ...where);
    expect([first.code, first.stdout]).toEqual([0, ""]);
    expect(first.stderr).toContain("not a complete line");
    expect(await values(topic)).toEqual(["one", "two\r", ""]);
    appendFileSync(path, "ee\n");
    expect((await tail(path, ...where)).code).toBe(0);
    expect(await values(topic)).toEqual(["one", "two\r", "", "three"]);
  }, 30_000);

  test("--print-acks names topic, partition, offset and number of records", async () => {
    const topic = uniqueTopic("acks");
    const result = await tail(
      file("acks.log", "a\nb\n"),
      "--topic",
      topic,
      "--create-topic",
      "1",
      "--once",
      "--print-acks",
      ...state(),
    );
    expect(result.stdout).toBe(`${topic}\t0\t0\t2\n`);
  }, 30_000);

  test("--format json and templates", async () => {
    const path = file("json.log", "a\nb\n");
    const topic = uniqueTopic("json");
    const shape = ["--format", "json", "--key", "{file}:{line_number}", "--header", "at={offset}"];
    expect((await tail(path, "--topic", topic, "--create-topic", "1", "--once", ...shape, ...state())).code).toBe(0);
    const lines = await logagent(["consume", topic, "-b", brokers, "-O", "start", "--exit-at-end", "--format", "json"]);
    const records = lines.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(records.map(({ key, headers }) => [key, headers])).toEqual([
      ["json.log:1", [{ key: "at", value: "0" }]],
      ["json.log:2", [{ key: "at", value: "2" }]],
    ]);
    expect(records.map(({ value }) => JSON.parse(value))).toMatchObject([
      { line: "a", path, offset: 0 },
      { line: "b", path, offset: 2 },
    ]);
  }, 30_000);

  test("--dry-run prints the records without broker and state", async () => {
    const path = file("dry.log", "a\n\nc");
    const result = await logagent(["tail", path, "--topic", "t", "--key", "k{line_number}", "--dry-run", ...state()]);
    expect(result.code).toBe(0);
    expect(
      result.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { topic: "t", key: "k1", value: "a", headers: [] },
      { topic: "t", key: "k2", value: "", headers: [] },
    ]);
    expect(existsSync(join(dir, "state.jsonl"))).toBe(false);
  });

  test("--must-exist ends with 74 for a file that is not there", async () => {
    const result = await tail(join(dir, "missing.log"), "--topic", "t", "--must-exist", ...state());
    expect([result.code, result.stdout]).toEqual([74, ""]);
    expect(result.stderr).toContain("missing.log");
    expect(result.stderr).not.toContain("trying");
    const dry = ["tail", join(dir, "missing.log"), "--topic", "t", "--dry-run"];
    expect((await logagent([...dry, "--must-exist"])).code).toBe(74);
    const { code, stderr } = await logagent(dry);
    expect([code, stderr]).toEqual([0, expect.stringContaining("no file matches")]);
  }, 30_000);

  test("a missing topic is said with what to do, and waited for", async () => {
    const topic = uniqueTopic("later");
    const path = file("later.log", "x\n");
    const agent = startLogagent(["tail", path, "-b", brokers, "--topic", topic, "--from", "beginning", ...state()]);
    await agent.says(/--create-topic/);
    await createTopic(brokers, topic, 1);
    await waitFor("the line", async () => (await values(topic)).length === 1);
    expect((await agent.stop()).code).toBe(0);
  }, 60_000);

  test("a broker that is not there is said once and waited for; --once gives up with 69", async () => {
    const path = file("away.log", "x\n");
    const words = ["tail", path, "-b", "127.0.0.1:1", "--topic", "t", "--from", "beginning"];
    const agent = startLogagent([...words, ...state()]);
    await agent.says(/127\.0\.0\.1:1/);
    await pause(1_500);
    expect(agent.stderr.match(/trying again/g)).toHaveLength(1);
    expect((await agent.stop()).code).toBe(0);
    for (const delivery of ["at-least-once", "exactly-once"]) {
      const once = await logagent([...words, ...state(), "--once", "--timeout", "1s", "--delivery", delivery]);
      expect(once.code).toBe(69);
    }
  }, 30_000);

  test("a state that belongs to another topic or agent version is refused with 78 and 74", async () => {
    const path = file("moved.log", "x\n");
    const [flag, where] = state() as [string, string];
    const [one, two] = [uniqueTopic("one"), uniqueTopic("two")];
    const go = (topic: string, ...more: string[]) =>
      tail(path, "--topic", topic, "--create-topic", "1", "--once", flag, where, ...more);
    expect((await go(one)).code).toBe(0);
    const refused = await go(two);
    expect(refused.code).toBe(78);
    expect(refused.stderr).toContain("--new-destination");
    appendFileSync(path, "y\n");
    expect((await go(two, "--new-destination")).code).toBe(0);
    expect([await values(one), await values(two)]).toEqual([["x"], ["y"]]);
    // Nothing to send: it ends while it still connects, and that is no trouble.
    const idle = await go(two);
    expect([idle.code, idle.stderr]).toEqual([0, expect.not.stringContaining("[warn]")]);
    mkdirSync(join(dir, "damaged"), { recursive: true });
    const text = readFileSync(where, "utf8").split("\n");
    const damaged = [text[0], "garbage", ...text.slice(1)].join("\n");
    writeFileSync(where, damaged);
    const exactly = await go(two, "--delivery", "exactly-once");
    expect(exactly.code).toBe(74);
    expect(readFileSync(where, "utf8")).toBe(damaged);
  }, 60_000);

  for (const delivery of ["at-least-once", "exactly-once"]) {
    test(`a topic that is not there binds nothing, ${delivery}: the corrected command sends the lines`, async () => {
      const path = file(`typo-${delivery}.log`, "x\n");
      const [right, wrong] = [await createTopic(brokers, uniqueTopic("right"), 1), uniqueTopic("wrong")];
      const words = [...state(), "--once", "--delivery", delivery];
      const typo = await tail(path, "--topic", wrong, "--timeout", "1500ms", ...words);
      expect(typo.code).toBe(69);
      expect(typo.stderr).toContain(
        `there is no such topic; create it with --create-topic PARTITIONS or \`logagent topics create ${wrong}\``,
      );
      expect(typo.stderr.match(/topics create/g)).toHaveLength(1);
      expect((await tail(path, "--topic", right, ...words)).code).toBe(0);
      expect(await values(right)).toEqual(["x"]);
      expect((await tail(path, "--topic", wrong, ...words)).code).toBe(78);
    }, 60_000);
  }

  test("what names no file is said: missing files, directories, globs", async () => {
    const logs = join(dir, "logs.d");
    mkdirSync(logs);
    const topic = await createTopic(brokers, uniqueTopic("absent"), 1);
    const once = (path: string, ...more: string[]) => tail(path, "--topic", topic, "--once", ...state(), ...more);
    const missing = await once(join(dir, "absent.log"));
    expect([missing.code, missing.stderr]).toEqual([0, expect.stringMatching(/nothing to send: .*absent\.log/)]);
    const directory = await once(logs);
    expect(directory.code).toBe(0);
    expect(directory.stderr).toContain(`${logs} is a directory; name its files, for example ${logs}/*.log`);
    expect((await once(`${logs}/*.log`)).stderr).toContain(`no file matches ${logs}/*.log`);
    expect((await once(logs, "--must-exist")).code).toBe(74);
    const agent = startLogagent(["tail", join(dir, "absent.log"), "-b", brokers, "--topic", topic, ...state()]);
    await agent.says(/no file matches \S*absent\.log yet/);
    expect((await agent.stop()).code).toBe(0);
  }, 60_000);

  test("a FIFO is read when named, and refused with exactly-once", async () => {
    const path = join(dir, "pipe");
    execFileSync("mkfifo", [path]);
    const topic = uniqueTopic("fifo");
    const refused = await tail(path, "--topic", topic, "--delivery", "exactly-once", ...state());
    expect(refused.code).toBe(64);
    const agent = startLogagent(["tail", path, "-b", brokers, "--topic", topic, "--create-topic", "1", ...state()]);
    await agent.says(/topic was created/);
    execFileSync("sh", ["-c", `printf 'a\\nb\\n' > '${path}'`], { timeout: 10_000 });
    await waitFor("the lines", async () => (await values(topic)).length === 2);
    expect((await agent.stop()).code).toBe(0);
    expect(await values(topic)).toEqual(["a", "b"]);
  }, 60_000);

  test("acks 0 and 1 with exactly-once are a usage error", async () => {
    for (const acks of ["0", "1"]) {
      const result = await tail(join(dir, "x.log"), "--topic", "t", "--delivery", "exactly-once", "--acks", acks);
      expect(result.code).toBe(64);
    }
  });

  test("metrics and readiness are served", async () => {
    const path = file("metrics.log", "a\nb\n");
    const words = ["tail", path, "-b", brokers, "--topic", uniqueTopic("metrics"), "--create-topic", "1"];
    const agent = startLogagent([...words, "--from", "beginning", "--metrics-listen", "127.0.0.1:0", ...state()]);
    const [, address] = await agent.says(/address=(\S+)/);
    await waitFor("readiness", async () => (await fetch(`http://${address}/readyz`)).ok);
    await waitFor("the position", async () => {
      const text = await (await fetch(`http://${address}/metrics`)).text();
      return text.includes(`logagent_file_position_bytes{input="${path}",path="${path}"} 4`);
    });
    const text = await (await fetch(`http://${address}/metrics`)).text();
    expect(text).toMatch(/^logagent_produce_seconds_count [1-9]/m);
    expect(text).not.toContain("produce_errors_total{");
    renameSync(path, `${path}.1`);
    writeFileSync(path, "c\n");
    await waitFor("the rotation", async () =>
      (await (await fetch(`http://${address}/metrics`)).text()).includes(`file_rotations_total{input="${path}",kind="`),
    );
    expect((await agent.stop()).code).toBe(0);
  }, 30_000);
});
