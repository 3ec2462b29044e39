import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inputFlags } from "../../src/config/input-flags.ts";
import { loadAgentConfig } from "../../src/config/load-agent.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { removeDir, tempDir } from "../support/temp.ts";

const dir = tempDir("config");
afterAll(() => removeDir(dir));

let files = 0;
function write(text: string): string {
  const file = join(dir, `${++files}.yaml`);
  writeFileSync(file, text);
  return file;
}

type Given = Parameters<typeof loadAgentConfig>[0]["given"];
const env = { HOME: "/home/u", STATE_DIRECTORY: "/state" };
const load = (given: Given, words: string[] = []) => loadAgentConfig({ given, words }, env);
const fromFile = (text: string, given: Given = {}) => load({ ...given, config: write(text) });

/** `12 inputs.web.topic` of every problem, and the exit code. */
function problems(run: () => unknown): { code: number; list: string[] } {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { code: error.exitCode, list: error.problems.map(({ line, where }) => `${line ?? "-"} ${where}`) };
  }
  throw new Error("nothing was wrong");
}

describe("defaults", () => {
  const config = load({ topic: "t" }, ["a.log", "/var/log/*.log", "a.log"]);

  test("every path is an input of its own, named as typed", () => {
    expect(config.inputs.map(({ name, tail }) => [name, tail.paths])).toEqual([
      ["a.log", ["a.log"]],
      ["/var/log/*.log", ["/var/log/*.log"]],
    ]);
  });

  test("are the documented ones", () => {
    expect(config).toMatchObject({
      connection: { brokers: ["localhost:9092"], clientId: "logagent" },
      producer: { acks: -1, compression: "none", batchBytes: 1_000_000, memoryBytes: 33_554_432 },
      delivery: "at-least-once",
      transactionBytes: 16_000_000,
      transactionInterval: 250,
      checkpointInterval: 1000,
      drainTimeout: 10_000,
      state: "/state/state.jsonl",
      configFile: null,
    });
    expect(config.inputs[0]).toMatchObject({
      key: null,
      partitioner: "sticky",
      createTopic: null,
      tail: { from: "end", reopen: true, watch: true, maxLineBytes: 1_000_000, tooLong: "split", rateLimit: 0 },
    });
  });

  test("an input's settings have the defaults that --help shows", () => {
    const { tail } = config.inputs[0]!;
    const shown: Record<string, unknown> = { maxHeldBytes: inputFlags.maxHeld.default };
    const same = ["pollMin", "pollMax", "maxLineBytes", "tooLong", "encoding", "rateLimit", "maxOpenFiles"] as const;
    for (const key of same) shown[key] = inputFlags[key].default;
    expect(tail).toMatchObject(shown);
  });

  test("--once and --dry-run start at the beginning", () => {
    expect(load({ topic: "t", once: true }, ["a"]).inputs[0]!.tail.from).toBe("beginning");
    expect(load({ topic: "t", dryRun: true }, ["a"])).toMatchObject({ once: true });
    expect(load({ topic: "t", once: true, from: "end" }, ["a"]).inputs[0]!.tail.from).toBe("end");
  });
});

describe("values", () => {
  test.each([
    ["+100", 100],
    ["-4KiB", -4096],
    ["+0", "beginning"],
    ["-0", "end"],
  ])("--from %s", (from, expected) => {
    expect(load({ topic: "t", from }, ["a"]).inputs[0]!.tail.from).toBe(expected as number);
  });

  test("a key makes the partitioner key; a number is a partition", () => {
    expect(load({ topic: "t", key: "{path}" }, ["a"]).inputs[0]!.partitioner).toBe("key");
    expect(load({ topic: "t", key: "k", partitioner: "random" }, ["a"]).inputs[0]!.partitioner).toBe("random");
    expect(load({ topic: "t", partition: 3 }, ["a"]).inputs[0]!.partitioner).toBe(3);
  });

  test("several expressions match by one of them, (?i) ignores case", () => {
    const { tail } = load({ topic: "t", include: ["^a", "b$"], exclude: ["(?i)DEBUG"] }, ["x"]).inputs[0]!;
    expect(["a1", "1b", "c"].map((line) => tail.include!.test(line))).toEqual([true, true, false]);
    expect(tail.excludeLines!.test("a debug line")).toBe(true);
  });

  test("--create-topic", () => {
    expect(load({ topic: "t", createTopic: "16:3" }, ["a"]).inputs[0]!.createTopic).toEqual({
      partitions: 16,
      replication: 3,
    });
    expect(load({ topic: "t", createTopic: "4" }, ["a"]).inputs[0]!.createTopic).toEqual({
      partitions: 4,
      replication: -1,
    });
  });
});

describe("the file", () => {
  const text = `
connection: { brokers: [k1, "k2:9093"], client_id: file }
producer: { acks: 1, linger: 20ms, compression: zstd, batch_size: 64KiB }
drain_timeout: 3s
defaults: { topic: logs, key: "{input}", create_topic: 16:1 }
inputs:
  web: /var/log/web.log
  cron:
    paths: [/a, "/b/*.log"]
    topic: cron
    partition: 2
    from: -100
    header: { host: "{host}", kind: cron }
`;

  test("names inputs with settings of their own over the defaults", () => {
    const config = fromFile(text);
    expect(config).toMatchObject({
      connection: { brokers: ["k1:9092", "k2:9093"], clientId: "file" },
      producer: { acks: 1, lingerMs: 20, compression: "zstd", batchBytes: 65_536 },
      drainTimeout: 3000,
    });
    expect(config.inputs).toMatchObject([
      {
        name: "web",
        topic: "logs",
        key: "{input}",
        partitioner: "key",
        tail: { paths: ["/var/log/web.log"], from: "end" },
      },
      {
        name: "cron",
        topic: "cron",
        partitioner: 2,
        tail: { paths: ["/a", "/b/*.log"], from: -100 },
        headers: [
          { name: "host", value: "{host}" },
          { name: "kind", value: "cron" },
        ],
      },
    ]);
  });

  test("yields to flags, which hold for every input", () => {
    const config = fromFile(text, { topic: "flag", acks: "all", clientId: "flag", partitioner: "random" });
    expect(config).toMatchObject({ connection: { clientId: "flag" }, producer: { acks: -1, lingerMs: 20 } });
    expect(config.inputs.map(({ topic, partitioner }) => [topic, partitioner])).toEqual([
      ["flag", "random"],
      ["flag", "random"],
    ]);
  });

  test("is read anew by the next call", () => {
    const file = write("inputs: { a: { paths: /a, topic: t } }");
    expect(load({ config: file }).inputs).toHaveLength(1);
    writeFileSync(file, "inputs: { a: { paths: /a, topic: t }, b: { paths: /b, topic: t } }");
    expect(load({ config: file }).inputs).toHaveLength(2);
  });

  test("may use anchors and merge keys", () => {
    const config = fromFile("inputs: { a: &x { paths: /a, topic: t }, b: { <<: *x, paths: /b } }");
    expect(config.inputs.map(({ topic, tail }) => [topic, ...tail.paths])).toEqual([
      ["t", "/a"],
      ["t", "/b"],
    ]);
  });
});

describe("all problems at once", () => {
  const { code, list } = problems(() =>
    fromFile(`connection:
  borkers: a:9092
  sasl_mechanism: plain
  sasl_password: secret
producer:
  acks: 1
  linger: 5
  compression: zst
delivery: exactly-once
drain_timout: 3s
defaults:
  topic: "a b"
inputs:
  web:
    paths: [/var/log/x]
    key: "{pth}"
    max_line_bytes: 10XB
  none:
    topic: good
  bad:
    paths: 3
    topic: x
    partition: 3
    partitioner: sticky
    from: middle
    include: "("
    trim_cr: "yes"
`),
  );

  test("with exit code 78 and the line of each", () => {
    expect(code).toBe(78);
    expect(list).toEqual([
      "1 connection.sasl_username",
      "1 connection.sasl_password_file",
      "2 connection.borkers",
      "4 connection.sasl_password",
      "6 producer.acks",
      "7 producer.linger",
      "8 producer.compression",
      "10 drain_timout",
      "12 defaults.topic",
      "16 inputs.web.key",
      "17 inputs.web.max_line_bytes",
      "18 inputs.none",
      "21 inputs.bad.paths",
      "24 inputs.bad.partitioner",
      "25 inputs.bad.from",
      "26 inputs.bad.include",
      "27 inputs.bad.trim_cr",
    ]);
  });

  test.each([
    ["", "no inputs are given"],
    ["inputs: [a]", "inputs: is a mapping of names to inputs, not a list"],
    ["inputs:\n  a: [", "not valid YAML"],
    ["inputs: { a: /x }\ninputs: { b: /y }", "not valid YAML: the key inputs is there a second time"],
    ["- a", "must be a mapping of keys to values"],
    [
      "inputs:\n  a: { paths: [a], topic: t }\n  b: *.log\n",
      "3: *.log is an alias that nothing defines; a text that begins with *",
    ],
    ["inputs:\n  a:\n    <<: /x\n    topic: t\n", '3: "<<" merges other mappings'],
    ["inputs: &a { b: { paths: *a, topic: t } }", "*a stands inside what it names"],
    ["a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c]", "alias"],
    ["inputs: {}\n---\ninputs: {}", "2: not valid YAML: there are several documents"],
    ['delivery: "exactly-once\ninputs:\n  a: /x\n', "1: not valid YAML: a quote that opens here is never closed"],
    ["\uFFFD\uFFFDi\0n\0", "must be UTF-8; this looks like UTF-16"],
    [
      "connection: { tls_ca: /none }\ninputs: { a: { paths: /x, topic: t } }",
      '1: connection.tls_ca: reading --tls-ca "/none"',
    ],
    ["inputs: { a: { paths: /x, topic: 5 } }", "topic: must be text, so put it in quotes"],
    ["inputs: { a: { paths: /x } }", "inputs.a: no topic is given"],
    ["inputs: { a: { path: /x, topic: t } }", "unknown key. Did you mean paths?"],
  ])("%p", (text, message) => expect(() => fromFile(text)).toThrow(message));

  test.each([`/root/${"x".repeat(5000)}`, "a\0b", "/dev/null/x"])("a path that cannot be asked about: %p", (path) => {
    const text = JSON.stringify({ delivery: "exactly-once", inputs: { a: { paths: path, topic: "t" } } });
    expect(fromFile(text).inputs).toHaveLength(1);
  });

  test("a file that is not there", () => {
    expect(problems(() => load({ config: join(dir, "none.yaml") }))).toEqual({ code: 78, list: ["- "] });
  });
});

describe("combinations that cannot be, with exit code 64 and the flag", () => {
  test.each<[Given, string[], string]>([
    [{}, ["a"], "- "],
    [{ topic: "t" }, [], "- "],
    [{ topic: "a/b" }, ["a"], "- --topic"],
    [{ topic: "t", delivery: "exactly-once", acks: "1" }, ["a"], "- --acks"],
    [{ topic: "t", delivery: "exactly-once", acks: "0" }, ["a"], "- --acks"],
    [{ topic: "t", partition: 1, partitioner: "random" }, ["a"], "- --partitioner"],
    [{ topic: "t", partitioner: "key" }, ["a"], "- --partitioner"],
    [{ topic: "t", recover: "skip" }, ["a"], "- --recover"],
    [{ topic: "t", timeout: 5 }, ["a"], "- --timeout"],
    [{ topic: "t", pollMin: 500, pollMax: 100 }, ["a"], "- --poll-min"],
    [{ topic: "t", batchSize: 10_000_000, bufferMemory: 2_000_000 }, ["a"], "- --batch-size"],
    [{ topic: "t", agentId: "a b" }, ["a"], "- --agent-id"],
    [{ topic: "t", metricsListen: "9464" }, ["a"], "- --metrics-listen"],
    [{ topic: "t", createTopic: "0" }, ["a"], "- --create-topic"],
    [{ topic: "t", header: ["novalue"] }, ["a"], "- --header"],
    [{ topic: "t", key: "{path" }, ["a", "b"], "- --key"],
  ])("%p %p", (given, words, where) => expect(problems(() => load(given, words))).toEqual({ code: 64, list: [where] }));

  test("a FIFO with exactly-once", () => {
    const fifo = join(dir, "fifo");
    execFileSync("mkfifo", [fifo]);
    expect(() => load({ topic: "t", delivery: "exactly-once" }, [fifo])).toThrow("cannot follow the FIFO");
    expect(load({ topic: "t" }, [fifo]).inputs).toHaveLength(1);
  });

  test("paths beside a config file", () => {
    expect(() => load({ config: write("inputs: { a: { paths: /a, topic: t } }") }, ["x"])).toThrow(
      "exclude each other",
    );
  });
});
