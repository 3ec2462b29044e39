import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { run } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { cli, main, shell } from "./cli.ts";

const dir = tempDir("main");
afterAll(() => removeDir(dir));

test("--version", async () => {
  const { code, stdout, stderr } = await cli(["--version"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^logagent \d+\.\d+\.\d+ \(\w+\)\n$/);
});

describe("help", () => {
  test.each([
    ["help"],
    ["--help"],
    ["-h"],
    ["topics --help"],
    ["help topics"],
    ["tail --help"],
    ["help topics list"],
    ["topics list -h"],
  ])("asked for by %p is data", async (line) => {
    const { code, stdout, stderr } = await cli(line.split(" "));
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("Usage: logagent");
    for (const row of stdout.split("\n")) expect(row.length).toBeLessThanOrEqual(120);
  });

  test.each([[""], ["topics"], ["groups"]])("not asked for, by %p, goes to stderr with 64", async (line) => {
    const { code, stdout, stderr } = await cli(line.split(" ").filter(Boolean));
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toContain("Commands:");
  });
});

describe("usage errors end with 64, stdout stays empty, the fault and a way on are named", () => {
  test.each([
    ["tial", 'unknown command "tial". Did you mean tail?'],
    ["topics lst", 'unknown command "topics lst". Did you mean list?'],
    ["--foo", "a command must come before --foo"],
    ["topics list --broker x", "unknown flag --broker. Did you mean --brokers?"],
    ["topics list surplus", 'unexpected "surplus"'],
    ["topics describe", "TOPIC is missing"],
    ["topics list --brokers", "--brokers needs a value"],
    ["topics list --output xml", "--output must be one of table, json, yaml, name"],
    ["tail --topic", "--topic needs a value"],
    ["tail x", "--topic is missing"],
    ["tail x --topic a/b", 'may hold only letters, digits, ".", "_" and "-"'],
    ["tail --topic t", "name a file or a pattern to follow"],
    ["tail x -t t --delivery exactly-once --acks 1", "exactly-once needs acks all"],
    ["topics create a/b -b 127.0.0.1:1", "may hold only"],
    ["topics alter t", "nothing to change"],
    ["topics create t -c novalue", "--config must be KEY=VALUE"],
    ["groups reset g", "--to is missing"],
    ["groups reset g --to 1:5", "must be one point"],
    ["completion csh", "must be one of bash, zsh, fish"],
  ])("%s", async (line, message) => {
    const { code, stdout, stderr } = await cli(line.split(" "));
    expect([code, stdout]).toEqual([64, ""]);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/\nTry: logagent.* --help\n$/);
  });
});

describe("other exit codes", () => {
  test("69 when no broker answers, naming it", async () => {
    const { code, stdout, stderr } = await cli(["topics", "list", "-b", "127.0.0.1:1"]);
    expect([code, stdout]).toEqual([69, ""]);
    expect(stderr).toContain("127.0.0.1:1");
    expect(stderr).not.toContain(".ts:");
  });

  test("74 for a password file that cannot be read", async () => {
    const { code, stderr } = await cli([
      "topics",
      "list",
      "--sasl-mechanism",
      "plain",
      "--sasl-username",
      "u",
      "--sasl-password-file",
      join(dir, "none"),
    ]);
    expect(code).toBe(74);
    expect(stderr).toContain("none");
  });

  test("78 for a wrong config file, every problem told", async () => {
    const file = join(dir, "bad.yaml");
    writeFileSync(file, "inputs:\n  a: { paths: /x }\n  b: { topic: t }\n");
    for (const command of [
      ["check", file],
      ["tail", "--config", file],
    ]) {
      const { code, stdout, stderr } = await cli(command);
      expect([code, stdout]).toEqual([78, ""]);
      expect(stderr).toContain(`${file}:2: inputs.a: no topic is given`);
      expect(stderr).toContain(`${file}:3: inputs.b: has no paths`);
    }
  });

  test("0 and a summary for a right one; secrets need not be there", async () => {
    const file = join(dir, "good.yaml");
    writeFileSync(
      file,
      "connection: { sasl_mechanism: plain, sasl_username: u }\ninputs: { a: { paths: /x, topic: t } }\n",
    );
    expect(await cli(["check", file])).toMatchObject({ code: 0, stdout: `${file}: OK, 1 input to t\n`, stderr: "" });
  });

  test("the stack only at debug level", async () => {
    const line = ["topics", "list", "-b", "127.0.0.1:1", "--log-level", "debug"];
    expect((await cli(line)).stderr).toContain("    at ");
  });
});

describe("environment", () => {
  test("stands in for flags", async () => {
    const { code, stderr } = await cli(["topics", "list"], { env: { LOGAGENT_BROKERS: "127.0.0.1:1" } });
    expect(code).toBe(69);
    expect(stderr).toContain("127.0.0.1:1");
  });

  test("a wrong value is told by the variable's name", async () => {
    const { code, stderr } = await cli(["topics", "list"], { env: { LOGAGENT_LOG_LEVEL: "loud" } });
    expect(code).toBe(64);
    expect(stderr).toContain("LOGAGENT_LOG_LEVEL must be one of debug");
  });
});

describe("pipes", () => {
  const file = join(dir, "big.log");
  const count = 45_000;
  writeFileSync(file, Array.from({ length: count }, (_, i) => `${i} ${"x".repeat(80)}\n`).join(""));
  const args = `tail ${file} --topic t --dry-run --log-level error`;

  test("4 MB through a slow reader arrive whole", async () => {
    const { code, stdout, stderr } = await shell(`"$@" ${args} | { sleep 0.5; wc -lc; }`);
    expect([code, stderr]).toEqual([0, ""]);
    const [lines, bytes] = stdout.trim().split(/\s+/).map(Number);
    expect(lines).toBe(count);
    expect(bytes).toBeGreaterThan(4_000_000);
  });

  test("a reader that leaves ends it quietly", async () => {
    const { stdout, stderr } = await shell(`{ "$@" ${args}; echo "code $?" >&2; } | head -1`);
    expect(stdout.split("\n")).toHaveLength(2);
    expect(stderr).toBe("code 0\n");
  });

  test("a closed stderr or stdin does no harm", async () => {
    const { code, stdout } = await shell(`"$@" ${args} 2>&- <&- | wc -l`);
    expect([code, stdout.trim()]).toEqual([0, String(count)]);
  });
});

describe("a bug ends with 70 and a short text", () => {
  test.each([
    ["thrown in a callback", 'setTimeout(() => { throw new Error("planted"); }, 300);'],
    ["a rejection nobody handles", 'setTimeout(() => Promise.reject(new Error("planted")), 300);'],
  ])("%s", async (_, code) => {
    const preload = join(dir, "planted.ts");
    writeFileSync(preload, code);
    // A server that never answers keeps the command busy until then.
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const [bun, ...words] = main;
      const line = [bun!, "--preload", preload, ...words, "topics", "list", "-b", `127.0.0.1:${port}`];
      const quiet = await run(line);
      expect([quiet.code, quiet.stdout]).toEqual([70, ""]);
      expect(quiet.stderr).toBe("logagent: internal error: planted\nrun again with --log-level debug for details\n");
      expect((await run([...line, "--log-level", "debug"])).stderr).toContain("planted.ts");
    } finally {
      server.close();
    }
  });
});

test("nothing is coloured in a pipe", async () => {
  const { stdout, stderr } = await cli(["topics", "--help"], { env: { FORCE_COLOR: "" } });
  expect(stdout + stderr).not.toContain("\u001b");
});
