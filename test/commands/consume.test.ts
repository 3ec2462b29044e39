import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, createServer } from "node:net";
import { Kafka, logLevel, type Producer } from "kafkajs";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { freePorts } from "../kafka/ports.ts";
import { root, run, start } from "../support/process.ts";
import { findTool, testWith } from "../support/tools.ts";
import { waitFor } from "../support/wait.ts";
import { cli, main, shell } from "./cli.ts";

let brokers = "";
let kafka: Kafka;
let producer: Producer;
let topic = "";
const began = 1_700_000_000_000;

beforeAll(async () => {
  brokers = (await sharedKafka()).brokers;
  kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING });
  producer = kafka.producer();
  await producer.connect();
  topic = await createTopic(brokers, uniqueTopic("consume"), 2);
  // Partition 0 holds a0 … a9, a second apart; partition 1 b0 … b4 with keys and headers.
  await send(topic, 0, (i) => ({ value: `a${i}`, timestamp: String(began + i * 1000) }), 10);
  await send(
    topic,
    1,
    (i) => ({ key: `k${i}`, value: `b${i}`, headers: { n: `${i % 2}` }, timestamp: String(began) }),
    5,
  );
}, 60_000);

afterAll(() => producer?.disconnect());

function send(to: string, partition: number, make: (i: number) => object, count: number, from = 0) {
  const messages = Array.from(
    { length: count },
    (_, i) => ({ ...make(from + i), partition }) as unknown as { value: string },
  );
  return producer.send({ topic: to, messages });
}

const consume = (...args: string[]) => cli(["consume", "-b", brokers, ...args]);
const values = async (...args: string[]) =>
  (await consume(topic, "-e", ...args)).stdout.split("\n").slice(0, -1).sort();
const sequence = (letter: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${letter}${from + i}`);

describe("refused before any connection", () => {
  const wrong: [args: string[], message: RegExp][] = [
    [[], /a topic is missing/],
    [["a b"], /a topic name may hold only/],
    [["-t", ".."], /cannot be named/],
    [["^("], /topic pattern "\^\("/],
    [["t", "-O", "soon"], /reading offsets "soon"/],
    [["t", "-p", "1-"], /--partition "1-"/],
    [["t", "-f", "%q"], /%q is unknown/],
    [["t", "-f", "x", "-o", "json"], /only one of/],
    [["t", "-g", "g", "-p", "0"], /the group shares out partitions/],
    [["t", "-g", "g", "-O", "0:5"], /it cannot have an end/],
    [["t", "--group-instance", "i"], /needs --group/],
    [["t", "--filter-value", "("], /--filter-value "\("/],
    [["t", "-n", "0"], /--count must be at least 1/],
  ];
  for (const [args, message] of wrong) {
    test(args.join(" ") || "no topic", async () => {
      // Nothing listens on port 1: a connection would end with 69.
      const { code, stdout, stderr } = await cli(["consume", "-b", "127.0.0.1:1", ...args]);
      expect([code, stdout]).toEqual([64, ""]);
      expect(stderr).toMatch(message);
    });
  }
});

test("no broker, no topic, no partition: 69 and why", async () => {
  expect(await cli(["consume", "-b", "127.0.0.1:1", "t"])).toMatchObject({
    code: 69,
    stderr: expect.stringContaining("refused"),
  });
  const missing = await consume("no-such-topic", "-e");
  expect([missing.code, missing.stderr]).toEqual([69, expect.stringContaining("topics create no-such-topic")]);
  expect(await consume("-r", "no-such.*")).toMatchObject({
    code: 69,
    stderr: expect.stringContaining("no topic's name matches"),
  });
  expect(await consume(topic, "-p", "2")).toMatchObject({
    code: 69,
    stderr: expect.stringContaining("partitions 0 to 1"),
  });
});

describe("no broker answers at first", () => {
  test("a read with an end goes on when one comes", async () => {
    const [port] = (await freePorts(1)) as [number];
    const reading = start([...main, "consume", "-b", `127.0.0.1:${port}`, topic, "-p", "1", "-O", "start:end"]);
    await reading.says(/refused.*; trying again/);
    const [host, to] = (brokers.split(",")[0] as string).split(":") as [string, string];
    const proxy = createServer((socket) => {
      const broker = connect(Number(to), host);
      socket.on("error", () => broker.destroy()).pipe(broker);
      broker.on("error", () => socket.destroy()).pipe(socket);
    }).listen(port, "127.0.0.1");
    const { code, stdout } = await reading.exited;
    proxy.close();
    expect([code, stdout.split("\n").slice(0, -1)]).toEqual([0, sequence("b", 0, 5)]);
  });

  test("it gives up with 69 after --timeout; a read without an end, and SIGTERM, do not wait", async () => {
    const args = ["consume", "-b", "127.0.0.1:1", "t"];
    const late = await cli([...args, "-e", "--timeout", "300ms"]);
    expect([late.code, late.stderr]).toEqual([
      69,
      expect.stringMatching(/trying again for 300 ms[\s\S]*\nlogagent: .*refused/),
    ]);
    const follows = await cli(args);
    expect([follows.code, follows.stderr]).toEqual([69, expect.not.stringContaining("trying again")]);
    const stopped = start([...main, ...args, "-e", "--timeout", "10m"]);
    await stopped.says(/trying again/);
    expect((await stopped.stop("SIGTERM")).code).toBe(69);
  });
});

describe("which records", () => {
  const cases: [args: string[], expected: string[]][] = [
    [
      ["-O", "start"],
      [...sequence("a", 0, 10), ...sequence("b", 0, 5)],
    ],
    [["-O", "end"], []],
    [
      ["-O", "3"],
      [...sequence("a", 3, 10), ...sequence("b", 3, 5)],
    ],
    [
      ["-O", "-2"],
      [...sequence("a", 8, 10), ...sequence("b", 3, 5)],
    ],
    [
      ["-O", "+1:4"],
      [...sequence("a", 1, 4), ...sequence("b", 1, 4)],
    ],
    [
      ["-O", ":2"],
      [...sequence("a", 0, 2), ...sequence("b", 0, 2)],
    ],
    [["-O", "start", "-p", "1"], sequence("b", 0, 5)],
    [["-O", `@${began + 2500}`, "-p", "0"], sequence("a", 3, 10)],
    [["-O", `@${began + 2000}:3s`, "-p", "0"], sequence("a", 2, 5)],
    [
      ["-O", "start", "--filter-value", "[37]$"],
      ["a3", "a7", "b3"],
    ],
    [
      ["-O", "start", "--filter-key", "k[34]"],
      ["b3", "b4"],
    ],
    [
      ["-O", "start", "--filter-header", "n=1"],
      ["b1", "b3"],
    ],
    [["-O", "start", "-p", "0", "-n", "3"], sequence("a", 0, 3)],
    [["-O", "start", "--filter-value", "[5-9]", "-n", "2", "-p", "0"], sequence("a", 5, 7)],
  ];
  for (const [args, expected] of cases)
    test(args.join(" "), async () => expect(await values(...args)).toEqual(expected));

  test("a range with an end stops by itself", async () => {
    expect((await consume(topic, "-O", "1:3", "-p", "0")).stdout).toBe("a1\na2\n");
    expect((await consume(topic, "-O", "8:end", "-p", "0")).stdout).toBe("a8\na9\n");
  });

  test("an offset that is not there is said", async () => {
    const { code, stdout, stderr } = await consume(topic, "-O", "7", "-e");
    expect([code, stdout]).toEqual([0, "a7\na8\na9\n"]);
    expect(stderr).toContain(`${topic}/1`);
  });

  test("several topics and patterns", async () => {
    const other = await createTopic(brokers, uniqueTopic("other"), 1);
    await send(other, 0, (i) => ({ value: `c${i}` }), 2);
    const read = async (...args: string[]) =>
      (await consume(...args, "-O", "start", "-e", "-f", "%t %v\\n")).stdout.split("\n").length - 1;
    expect(await read(topic, other)).toBe(17);
    expect(await read(topic, "-t", other)).toBe(17);
    expect(await read(`^${other.slice(0, -1)}.`)).toBe(2);
    expect(await read("-r", `${topic}|${other}`)).toBe(17);
  });
});

test("--print-offsets and JSON", async () => {
  const { stdout } = await consume(topic, "-O", "3:4", "-p", "1", "--print-offsets");
  expect(stdout).toBe("partition=1 offset=3 key=k3 value=b3\n");
  const json = JSON.parse((await consume(topic, "-O", "3:4", "-p", "1", "-o", "json")).stdout);
  const headers = [{ key: "n", value: "1" }];
  expect(json).toEqual({ topic, partition: 1, offset: 3, timestamp: began, key: "k3", value: "b3", headers });
});

describe("following", () => {
  test("from the newest record on; SIGINT and SIGTERM end it with 0 and nothing lost", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const followed = await createTopic(brokers, uniqueTopic("follow"), 1);
      await send(followed, 0, () => ({ value: "old" }), 1);
      const running = start([...main, "consume", "-b", brokers, followed, "--log-level", "debug"]);
      // Until it follows, what is sent may count as old: send until the first arrives, then count.
      let sent = 0;
      await waitFor(
        "the first record",
        async () => {
          await send(followed, 0, (i) => ({ value: `n${i}` }), 1, sent++);
          return running.stdout.includes("n");
        },
        { every: 100 },
      );
      await send(followed, 0, (i) => ({ value: `n${i}` }), 500, sent);
      await waitFor("the last record", () => running.stdout.endsWith(`n${sent + 499}\n`));
      const { code, stdout } = await running.stop(signal);
      expect(code).toBe(0);
      const found = stdout.split("\n").slice(0, -1);
      expect(found).not.toContain("old");
      expect(found.slice(-500)).toEqual(sequence("n", sent, sent + 500));
    }
  }, 60_000);
});

describe("pipes", () => {
  let large = "";
  const lines = 60_000;
  beforeAll(async () => {
    large = await createTopic(brokers, uniqueTopic("large"), 1);
    const value = "x".repeat(193);
    for (let from = 0; from < lines; from += 4000) {
      await send(large, 0, (i) => ({ value: `${String(i).padStart(6, "0")}${value}` }), 4000, from);
    }
  }, 60_000);

  test("a reader that goes away ends it at once, quietly, with 0", async () => {
    const script = `{ "$@"; echo "code $?" >&2; } | head -1`;
    const { stdout, stderr } = await run([
      "sh",
      "-c",
      script,
      "sh",
      ...main,
      "consume",
      "-b",
      brokers,
      large,
      "-O",
      "start",
    ]);
    expect(stdout).toBe(`000000${"x".repeat(193)}\n`);
    expect(stderr).toBe("code 0\n");
  });

  test("a slow reader gets every byte", async () => {
    const { stdout, stderr } = await shell(
      `"$@" consume -b ${brokers} ${large} -O start -e | { sleep 1; head -c 3000000; sleep 1; cat; } | cksum`,
    );
    const direct = await shell(
      `"$@" consume -b ${brokers} ${large} -O start -e > /dev/null; "$@" consume -b ${brokers} ${large} -O start -e | cat | cksum`,
    );
    expect(stderr).toBe("");
    expect(stdout).toBe(direct.stdout);
    expect(stdout).toEndWith(` ${lines * 200}\n`);
  }, 60_000);
});

describe("transactions", () => {
  test("read-committed hides aborted and open ones and stops before the open one; read-uncommitted shows all", async () => {
    const to = await createTopic(brokers, uniqueTopic("transactions"), 1);
    const transactional = () =>
      kafka.producer({ transactionalId: uniqueTopic("id"), maxInFlightRequests: 1, idempotent: true });
    const [one, two] = [transactional(), transactional()];
    await Promise.all([one.connect(), two.connect()]);
    const put = async (from: Producer, end: "commit" | "abort" | null, ...texts: string[]) => {
      const transaction = await from.transaction();
      await transaction.send({ topic: to, messages: texts.map((value) => ({ value, partition: 0 })) });
      if (end !== null) await transaction[end]();
      return transaction;
    };
    const read = async (isolation: string) => {
      const { code, stdout } = await consume(to, "-O", "start", "-e", "--isolation", isolation);
      expect(code).toBe(0);
      return stdout.split("\n").slice(0, -1);
    };
    await put(one, "commit", "c1", "c2");
    await put(one, "abort", "x1", "x2");
    await send(to, 0, () => ({ value: "plain" }), 1);
    // Interleaved: one aborts what it wrote before and after the other's commit.
    const interleaved = await one.transaction();
    await interleaved.send({ topic: to, messages: [{ value: "x3", partition: 0 }] });
    await put(two, "commit", "c3");
    await interleaved.send({ topic: to, messages: [{ value: "x4", partition: 0 }] });
    await interleaved.abort();
    await put(one, "commit", "c4");
    const open = await put(two, null, "o1");
    await send(to, 0, () => ({ value: "behind" }), 1);
    try {
      expect(await read("read-committed")).toEqual(["c1", "c2", "plain", "c3", "c4"]);
      const all = ["c1", "c2", "x1", "x2", "plain", "x3", "c3", "x4", "c4", "o1", "behind"];
      expect(await read("read-uncommitted")).toEqual(all);
      await open.commit();
      await waitFor("the commit to be visible", async () => (await read("read-committed")).length === 7);
      expect(await read("read-committed")).toEqual(["c1", "c2", "plain", "c3", "c4", "o1", "behind"]);
    } finally {
      await Promise.all([one.disconnect(), two.disconnect()]);
    }
  }, 60_000);
});

describe("groups", () => {
  const member = (name: string, group: string, ...args: string[]) =>
    start([...main, "consume", "-b", brokers, name, "-g", group, "-O", "start", "--session-timeout", "6s", ...args]);
  const lines = (text: string) => text.split("\n").slice(0, -1);

  test("resumes where it stopped, after -n and after a signal", async () => {
    const group = uniqueTopic("group");
    const read = (...args: string[]) => consume(topic, "-g", group, "-O", "start", ...args);
    const first = lines((await read("-n", "4")).stdout);
    const rest = lines((await read("-e")).stdout);
    expect(first.length).toBe(4);
    expect([...first, ...rest].sort()).toEqual([...sequence("a", 0, 10), ...sequence("b", 0, 5)]);
    expect((await read("-e")).stdout).toBe("");
  }, 30_000);

  test("a session time-out the broker does not allow is told with 69", async () => {
    const { code, stderr } = await consume(topic, "-g", uniqueTopic("group"), "--session-timeout", "3s");
    expect(stderr).toMatch(/does not allow a session time-out of 3000 ms/);
    expect(code).toBe(69);
  });

  test("two members share the partitions; a stopped one's go to the other; every record once", async () => {
    const shared = await createTopic(brokers, uniqueTopic("shared"), 4);
    const group = uniqueTopic("group");
    const one = member(shared, group);
    await one.says(/joined the group/);
    const two = member(shared, group);
    await two.says(/joined the group/);
    await waitFor("both to have two partitions", () =>
      [one, two].every(({ stderr }) => /partitions="\S+ \S+"\n$/.test(stderr)),
    );
    const put = (from: number) =>
      Promise.all(
        [0, 1, 2, 3].map((partition) => send(shared, partition, (i) => ({ value: `p${partition}-${i}` }), 50, from)),
      );
    await put(0);
    await waitFor("all records", () => lines(one.stdout).length + lines(two.stdout).length === 200);
    expect([lines(one.stdout).length, lines(two.stdout).length]).toEqual([100, 100]);
    const { code } = await two.stop("SIGTERM");
    expect(code).toBe(0);
    await put(50);
    await waitFor("the second half", () => lines(one.stdout).length === 300);
    const { stdout } = await one.stop("SIGINT");
    const all = [...lines(stdout), ...lines(two.stdout)];
    expect(new Set(all).size).toBe(400);
    expect(all.length).toBe(400);
  }, 60_000);

  test("a killed member's partitions go to the other after the session's time-out, nothing is skipped", async () => {
    const shared = await createTopic(brokers, uniqueTopic("killed"), 2);
    const group = uniqueTopic("group");
    const one = member(shared, group);
    const two = member(shared, group);
    await waitFor("both to have one partition", () =>
      [one, two].every(({ stderr }) => /partitions=\S+\n$/.test(stderr) && !/none\n$/.test(stderr)),
    );
    const put = (from: number) =>
      Promise.all(
        [0, 1].map((partition) => send(shared, partition, (i) => ({ value: `p${partition}-${i}` }), 100, from)),
      );
    await put(0);
    await waitFor("all records", () => lines(one.stdout).length + lines(two.stdout).length === 200);
    await two.stop("SIGKILL");
    await put(100);
    const expected = [0, 1].flatMap((partition) => sequence(`p${partition}-`, 0, 200)).sort();
    const found = () => [...new Set([...lines(one.stdout), ...lines(two.stdout)])].sort();
    await waitFor("the other to take over", () => found().length === 400, { timeout: 40_000 });
    expect(found()).toEqual(expected);
    expect((await one.stop()).code).toBe(0);
  }, 90_000);

  testWith(["kcat"])(
    "shares a group with a member of librdkafka",
    async () => {
      const shared = await createTopic(brokers, uniqueTopic("mixed"), 2);
      const group = uniqueTopic("group");
      const ours = member(shared, group);
      await ours.says(/joined the group/);
      const theirs = start(["kcat", "-b", brokers, "-G", group, "-u", "-X", "auto.offset.reset=earliest", shared]);
      await waitFor("ours to give one partition away", () => /partitions=\S+\n$/.test(ours.stderr));
      await waitFor(
        "both to read",
        async () => {
          await Promise.all([0, 1].map((partition) => send(shared, partition, (i) => ({ value: `v${i}` }), 10)));
          return lines(ours.stdout).length > 0 && lines(theirs.stdout).length > 0;
        },
        { every: 300 },
      );
      await Promise.all([ours.stop(), theirs.stop()]);
    },
    60_000,
  );
});

test("the same sources under Deno", async () => {
  const deno = findTool("deno") ?? `${root}/node_modules/.bin/deno`;
  const command = [deno, "run", "-A", `${root}/src/main.ts`, "consume", "-b", brokers, topic, "-O", "start", "-e"];
  const { code, stdout, stderr } = await run(command);
  const lines = stdout.split("\n").slice(0, -1).sort();
  expect({ code, stderr, lines }).toEqual({
    code: 0,
    stderr: "",
    lines: [...sequence("a", 0, 10), ...sequence("b", 0, 5)],
  });
  const json = await run([...command, "-p", "1", "-f", "json", "-n", "1"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ key: "k0", value: "b0" });
});
