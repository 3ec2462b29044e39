/** Whatever an editor leaves in a config file, loading it names problems and nothing else is thrown. */
import { afterAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { loadAgentConfig } from "../../src/config/load-agent.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { removeDir, tempDir } from "../support/temp.ts";

const dir = tempDir("damaged");
const file = join(dir, "logagent.yaml");
const secret = join(dir, "secret");
writeFileSync(secret, "secret");
afterAll(() => removeDir(dir));

const whole = `connection:
  brokers: [kafka-1:9092, "kafka-2:9092"]
  tls: true
  sasl_mechanism: scram-sha-512
  sasl_username: shipper
  sasl_password_file: ${secret}
producer: { acks: all, compression: zstd, compression_level: 3, linger: 5ms, batch_size: 1MB }
delivery: exactly-once
state: /var/lib/logagent/state.jsonl
drain_timeout: 10s
metrics_listen: 127.0.0.1:9464
defaults: &defaults
  topic: logs
  key: "{path}"
  header: { host: "{host}", line: "{line_number}" }
inputs:
  nginx:
    paths: [/var/log/nginx/*.log, "/var/log/**/*.log"]
    exclude: ["^DEBUG", '^trace']
    max_line_bytes: 2MiB
    multiline_start: '^\\d{4}-'
  cron: /var/log/cron.log
  app:
    <<: *defaults
    paths: /srv/app/app.log
    from: -100
    create_topic: 16:1
`;

/** Characters that mean something to YAML, to paths, to templates and to expressions. */
const bits = [
  "*",
  "&a",
  "<<: ",
  "!!binary ",
  "!x ",
  "|",
  ">",
  "? ",
  "- ",
  ": ",
  "{",
  "}",
  "[",
  "]",
  '"',
  "'",
  "#",
  "%",
  "@",
  "`",
  "\t",
  "\n",
  "\0",
  "~",
  "null",
  "on",
  "0x1F",
  "1e999",
  "-1",
  ".inf",
  "2024-01-01",
  "(",
  "(?<n>",
  "\\",
  "{path",
  "}}",
  "x".repeat(5000),
  "\uD800",
  "é",
  "\r\n",
  "---\n",
  "...\n",
  "*defaults",
  "&defaults ",
];
const at = fc.nat(whole.length);
const edit = fc.oneof(
  fc.tuple(at, fc.constantFrom(...bits)).map(
    ([i, bit]) =>
      (text: string) =>
        text.slice(0, i) + bit + text.slice(i),
  ),
  fc.tuple(at, fc.nat(40)).map(
    ([i, n]) =>
      (text: string) =>
        text.slice(0, i) + text.slice(i + n),
  ),
  fc.tuple(at, fc.constantFrom(...bits), fc.nat(20)).map(
    ([i, bit, n]) =>
      (text: string) =>
        text.slice(0, i) + bit + text.slice(i + n),
  ),
  at.map((i) => (text: string) => text.slice(0, i)),
  fc.tuple(fc.nat(30), fc.nat(30)).map(([i, j]) => (text: string) => {
    const lines = text.split("\n");
    const moved = lines.splice(i % lines.length, 1);
    lines.splice(j % (lines.length + 1), 0, ...moved);
    return lines.join("\n");
  }),
  fc
    .tuple(fc.nat(30), fc.constantFrom("5", "true", "null", "[]", "{}", "[1, {a: b}]", '""', "*.log", "1.5", "&x [*x]"))
    .map(
      ([i, value]) =>
        (text: string) =>
          text
            .split("\n")
            .map((line, n) => (n === i ? line.replace(/:.*/, `: ${value}`) : line))
            .join("\n"),
    ),
);

const load = () => loadAgentConfig({ given: { config: file }, words: [] }, { HOME: "/h", STATE_DIRECTORY: "/s" });

test("it is right before it is damaged", () => {
  writeFileSync(file, whole);
  expect(load().inputs).toHaveLength(3);
});

test("damaged in any way, it is refused with problems or it is right", () => {
  const outcomes = { right: 0, refused: 0 };
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      writeFileSync(
        file,
        edits.reduce((text, change) => change(text), whole),
      );
      try {
        load();
        outcomes.right++;
      } catch (error) {
        if (!(error instanceof ConfigError) || error.exitCode !== 78) throw error;
        outcomes.refused++;
      }
    }),
    { numRuns: Number(process.env.LOGAGENT_FUZZ_RUNS ?? 3000) },
  );
  expect(Math.min(outcomes.refused, outcomes.right)).toBeGreaterThan(100);
});
