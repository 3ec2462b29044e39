import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Ajv, { type AnySchema } from "ajv";
import { parse, stringify } from "yaml";
import { tailEnvironment } from "../../src/config/environment.ts";
import { exampleConfig } from "../../src/config/example.ts";
import { loadAgentConfig } from "../../src/config/load-agent.ts";
import { resolvedConfig } from "../../src/config/resolved.ts";
import { configJsonSchema } from "../../src/config/schema.ts";
import { makeAuthority } from "../kafka/certificates.ts";
import { root } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";

const dir = tempDir("schema");
afterAll(() => removeDir(dir));
const file = join(dir, "logagent.yaml");
writeFileSync(join(dir, "ca.pem"), makeAuthority().cert);
writeFileSync(join(dir, "password"), "x", { mode: 0o600 });

const valid = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(configJsonSchema() as AnySchema);
const env = { HOME: "/h", STATE_DIRECTORY: "/s" };
const load = (text: string) => {
  writeFileSync(file, text);
  return loadAgentConfig({ given: { config: file }, words: [] }, env);
};
const readme = /```yaml\n([\s\S]*?)```/.exec(readFileSync(join(root, "README.md"), "utf8"))![1]!;
const allSettings = exampleConfig.replace(/^( *)# (?=[a-z_]+: )/gm, "$1");

test.each([
  ["README's", readme],
  ["config init's", exampleConfig],
  ["config init's with every setting", allSettings],
])("%s example is right by the schema and by the loader", (_, text) => {
  expect(valid(parse(text))).toBe(true);
  expect(load(text.replaceAll("/etc/logagent", dir)).warnings).toEqual([]);
});

test("every comment of the example that is a setting was taken for one", () => {
  expect(allSettings.match(/^ *# /gm)?.length).toBe(2);
});

test("what config show prints is right by both and comes to the same", () => {
  const text = readme.replaceAll("/etc/logagent", dir);
  const before = load(text);
  const shown = resolvedConfig(file, {}, env);
  expect(valid(shown)).toBe(true);
  expect(load(stringify(shown))).toEqual(before);
});

const base = "inputs: { a: { paths: /x, topic: t } }\n";
/** Mistakes that both find. */
const mistakes = [
  "",
  "inputs: []",
  "inputs: 5",
  "inputs: { a: 5 }",
  "inputs: { a: {} }",
  "inputs: { a: { topic: t } }",
  "inputs: { a: { paths: 3, topic: t } }",
  "inputs: { a: { paths: [], topic: t } }",
  "inputs: { a: { paths: [5], topic: t } }",
  'inputs: { a: { paths: "", topic: t } }',
  "inputs: { a: { paths: /x, topic: 5 } }",
  "inputs: { a: { path: /x, topic: t } }",
  "inputs: { a: { paths: /x, topic: t, partition: x } }",
  "inputs: { a: { paths: /x, topic: t, partition: -1 } }",
  "inputs: { a: { paths: /x, topic: t, partition: 1.5 } }",
  "inputs: { a: { paths: /x, topic: t, partitioner: hash } }",
  "inputs: { a: { paths: /x, topic: t, format: xml } }",
  "inputs: { a: { paths: /x, topic: t, trim_cr: yes please } }",
  "inputs: { a: { paths: /x, topic: t, max_line_bytes: big } }",
  "inputs: { a: { paths: /x, topic: t, poll_min: 5 } }",
  "inputs: { a: { paths: /x, topic: t, header: { a: 5 } } }",
  "inputs: { a: { paths: /x, topic: t, include: 5 } }",
  "inputs: { a: { paths: /x, topic: t, rate_limit: -5 } }",
  "inputs: { a: { paths: /x, topic: t, encoding: utf8 } }",
  "inputs: { a: { paths: /x, topic: t, too_long: drop } }",
  `${base}topic: t`,
  `${base}acks: all`,
  `${base}brokers: a:1`,
  `${base}nonsense: 1`,
  `${base}delivery: maybe`,
  `${base}drain_timeout: 5`,
  `${base}drain_timeout: fast`,
  `${base}state: 5`,
  `${base}connection: [a]`,
  `${base}connection: { borkers: a }`,
  `${base}connection: { tls: 1 }`,
  `${base}connection: { sasl_mechanism: gssapi }`,
  `${base}connection: { brokers: 9092 }`,
  `${base}producer: { acks: 2 }`,
  `${base}producer: { compression: brotli }`,
  `${base}producer: { linger: 5 }`,
  `${base}producer: { compression_level: high }`,
  `${base}defaults: { paths: /x }`,
  `${base}defaults: 5`,
];

test.each(mistakes)("%p is refused by the schema and by the loader", (text) => {
  expect(() => load(text)).toThrow(expect.objectContaining({ exitCode: 78 }));
  expect(valid(parse(text) ?? {})).toBe(false);
});

test.each([
  [`${base}topic: t`, "topic: does not stand at the top level; it belongs in an input or in `defaults`"],
  [`${base}brokers: a:1`, "it belongs in `connection`"],
  ["inputs:\n  - paths: /x\n", "inputs: is a mapping of names to inputs, not a list"],
  [`${base}producer: { compression: zstd, compression_level: 40 }`, "zstd has the levels 1 to 22; got 40"],
  ["inputs: { a: { paths: /x, topic: '${TOPIC}' } }", "inputs.a.topic: the environment variable TOPIC is not set"],
  ["inputs: { a: { paths: /x, topic: '${file:/none}' } }", "reading ${file:/none}: ENOENT"],
  ["inputs: { a: { paths: /x, topic: '${a b}' } }", "${a b} is no variable"],
])("%p says how to mend it", (text, message) => expect(() => load(text)).toThrow(message));

test("variables and files are replaced", () => {
  writeFileSync(join(dir, "topic"), "from-file\n");
  const text = `inputs: { a: { paths: "\${HOME}/x", topic: "\${file:${dir}/topic}", key: "$\${x}" }, b: { paths: /y, topic: "\${NONE:-t}" } }`;
  const inputs = () => load(text.replace(', key: "$${x}"', "")).inputs;
  expect(inputs().map(({ topic, tail }) => [topic, ...tail.paths])).toEqual([
    ["from-file", "/h/x"],
    ["t", "/y"],
  ]);
  expect(() => load(text)).toThrow("names the unknown field {x}");
});

test.each([
  ["inputs: { a: { paths: ~/x.log, topic: t } }", "inputs.a.paths: ~ is not expanded"],
  ["inputs: { a: { paths: $HOME/x.log, topic: t } }", "write ${NAME}"],
  ["inputs: { a: { paths: x.log, topic: t } }", "x.log is relative, and a service's working directory is /"],
  ["inputs:\n  a:\n    topic: t\n    paths: /var/log/app #1.log\n", 'the value ends before " #1.log"'],
  [`${base}drain_timeout: 90s`, "is longer than the service's TimeoutStopSec (30 s)"],
  [`${base}connection: { brokers: [] }`, "is empty, so localhost:9092 is used"],
  ["inputs: { a: { paths: /x, topic: t, multiline_timeout: 5s } }", "multiline_timeout: does nothing without"],
  [
    "inputs: { a: { paths: /x, topic: t, exclude: '[[:digit:]]+' } }",
    "[[:digit:]] and its kind mean single characters",
  ],
  ["inputs: { a: { paths: /x, topic: t, multiline_start: '\\A\\d' } }", "\\A, \\z and \\Z are plain letters"],
])("%p is warned about", (text, message) => {
  writeFileSync(file, text);
  const { warnings } = loadAgentConfig({ given: { config: file }, words: [] }, { ...env, INVOCATION_ID: "x" });
  expect(warnings).toEqual([expect.stringContaining(message)]);
});

test("the environment is judged as tail would", () => {
  expect(() => tailEnvironment({ LOGAGENT_ACKS: "banana" })).toThrow("LOGAGENT_ACKS must be one of 0, 1, all");
  expect(tailEnvironment({ LOGAGENT_ACKS: "1", LOGAGENT_CONFIG: "/x" })).toEqual({ acks: "1" });
});
