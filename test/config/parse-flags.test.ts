import { describe, expect, test } from "bun:test";
import type { Flags } from "../../src/config/flag.ts";
import { parseFlags } from "../../src/config/parse-flags.ts";

const flags = {
  topic: { type: "string", alias: "t", env: "LOGAGENT_TOPIC", description: "" },
  offsets: { type: "string", alias: "O", description: "" },
  header: { type: "string", alias: "H", multiple: true, description: "" },
  brokers: { type: "string", multiple: true, env: "LOGAGENT_BROKERS", description: "" },
  count: { type: "integer", alias: "n", min: 1, description: "" },
  linger: { type: "duration", default: 5, env: "LOGAGENT_LINGER", description: "" },
  format: { type: "choice", options: ["raw", "json"], default: "raw", description: "" },
  quiet: { type: "boolean", alias: "q", env: "LOGAGENT_QUIET", description: "" },
  exitAtEnd: { type: "boolean", alias: "e", description: "" },
} as const satisfies Flags;

const parse = (line: string, env: Record<string, string> = {}) =>
  parseFlags(line.split(" ").filter(Boolean), flags, env);

describe("values", () => {
  test.each(["--offsets -5", "--offsets=-5", "-O -5", "-O-5", "-O=-5"])("%s", (line) => {
    expect(parse(line).flags.offsets).toBe("-5");
  });

  test("may be empty, hold = and begin with dashes when joined by =", () => {
    expect(parse("--offsets=").flags.offsets).toBe("");
    expect(parse("--header=a=b=c").flags.header).toEqual(["a=b=c"]);
    expect(parse("--topic=--x").flags.topic).toBe("--x");
  });

  test("of repeatable flags are arrays in order", () => {
    expect(parse("-H a=1 word --header b=2").flags.header).toEqual(["a=1", "b=2"]);
    expect(parse("").flags.header).toEqual([]);
  });

  test("short switches may stand together, the last with a value", () => {
    expect(parse("-qen5").flags).toMatchObject({ quiet: true, exitAtEnd: true, count: 5 });
  });

  test("everything behind -- is a word", () => {
    expect(parse("a -- --topic -q").words).toEqual(["a", "--topic", "-q"]);
  });

  test("a single - is a word", () => expect(parse("-").words).toEqual(["-"]));
});

describe("precedence", () => {
  test("flag, then environment, then default", () => {
    const env = { LOGAGENT_TOPIC: "env", LOGAGENT_LINGER: "7ms", LOGAGENT_QUIET: "true", LOGAGENT_BROKERS: "a,b" };
    expect(parse("--topic flag --quiet=false", env).flags).toMatchObject({
      topic: "flag",
      linger: 7,
      quiet: false,
      brokers: ["a", "b"],
      format: "raw",
    });
    expect(parse("", env).given).toEqual({ topic: "env", linger: 7, quiet: true, brokers: ["a", "b"] });
    expect(parse("").given).toEqual({});
    expect(parse("", { LOGAGENT_TOPIC: "" }).flags.topic).toBeUndefined();
  });
});

describe("is refused", () => {
  test.each([
    ["--topc x", "unknown flag --topc. Did you mean --topic?"],
    ["--zzzzzzzz", "unknown flag --zzzzzzzz"],
    ["-x", "unknown flag -x"],
    ["-qx", "unknown flag -x in -qx"],
    ["--topic", "--topic needs a value; got the end of the line"],
    ["--topic --quiet", "--topic needs a value; got --quiet"],
    ["--topic -q", "--topic needs a value; got -q"],
    ["--topic a --topic b", "--topic is given 2 times; it can be given once"],
    ["--count five", '--count must be a whole number; got "five"'],
    ["--count 0", "--count must be at least 1; got 0"],
    ["--linger 5", '--linger: reading a duration: "5" must be a number with ms'],
    ["--format jsn", '--format must be one of raw, json; got "jsn". Did you mean json?'],
    ["--quiet=maybe", '--quiet is a switch; its value can only be true or false, not "maybe"'],
  ])("%s", (line, message) => expect(() => parse(line)).toThrow(message));

  test("a wrong value of the environment, by the variable's name", () => {
    expect(() => parse("", { LOGAGENT_LINGER: "soon" })).toThrow("LOGAGENT_LINGER: ");
  });
});
