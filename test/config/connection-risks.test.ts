import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectionRisks } from "../../src/config/connection-risks.ts";
import { logagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";

const dir = tempDir("risks");
const secret = (name: string, mode: number) => {
  writeFileSync(join(dir, name), "secret\n", { mode });
  return join(dir, name);
};
const open = secret("open", 0o644);
const closed = secret("closed", 0o640);
const far = ["kafka.example:9092"];

test.each([
  [{ brokers: far, saslMechanism: "plain" }, ["SASL plain without TLS sends the password"]],
  [{ brokers: far, saslMechanism: "oauthbearer" }, ["SASL oauthbearer without TLS sends the token"]],
  [{ brokers: ["127.0.0.1:1", "far"], saslMechanism: "plain" }, ["SASL plain without TLS"]],
  [{ brokers: ["localhost", "127.0.0.1:1,[::1]:2"], saslMechanism: "plain" }, []],
  [{ brokers: ["127.evil.example"], saslMechanism: "plain" }, ["SASL plain without TLS"]],
  [{ brokers: far, saslMechanism: "scram-sha-512" }, []],
  [{ brokers: far, saslMechanism: "plain", tls: true }, []],
  [{ brokers: far, tlsInsecure: true }, ["--tls-insecure: whoever answers"]],
  [
    { tls: true, saslMechanism: "oauthbearer", oauthTokenEndpoint: "http://id.example/t" },
    ["--oauth-token-endpoint http://id.example/t"],
  ],
  [{ tls: true, saslMechanism: "oauthbearer", oauthTokenEndpoint: "http://127.0.0.1:8/t" }, []],
  [{ tls: true, saslMechanism: "oauthbearer", oauthTokenEndpoint: "https://id.example/t" }, []],
  [
    { saslPasswordFile: open, oauthClientSecretFile: closed, tlsKey: open },
    [`--sasl-password-file ${open}`, `--tls-key ${open}`],
  ],
  [{ brokers: ["a:b:c"], saslMechanism: "plain", tlsKey: join(dir, "none") }, []],
] as const)("%j", (flags, risks) => {
  const found = connectionRisks(flags as Parameters<typeof connectionRisks>[0]);
  expect(found).toHaveLength(risks.length);
  for (const [i, risk] of risks.entries()) expect(found[i]).toStartWith(risk);
});

test("each command says them once, on stderr", async () => {
  const log = join(dir, "a.log");
  const yaml = join(dir, "a.yaml");
  writeFileSync(log, "");
  writeFileSync(
    yaml,
    `state: ${dir}/s2/s.jsonl\nconnection: {brokers: [127.0.0.1:1], sasl_mechanism: plain, sasl_username: u, sasl_password_file: ${open}}\ninputs: {a: {paths: ${log}, topic: t}}\n`,
  );
  const flags = [
    "-b",
    "127.0.0.1:1",
    "--sasl-mechanism",
    "plain",
    "--sasl-username",
    "u",
    "--sasl-password-file",
    open,
  ];
  const run = (...words: string[]) => logagent(words, { stdin: "" });
  const said = await Promise.all([
    run("topics", "list", ...flags),
    run("produce", "t", "--value", "x", "--timeout", "1s", ...flags),
    run("consume", "t", "--connect-timeout", "1s", ...flags),
    run("tail", log, "--topic", "t", "--once", "--timeout", "1s", "--state", join(dir, "s", "s.jsonl"), ...flags),
    run("check", yaml),
  ]);
  for (const { stderr } of said) expect(stderr.match(/every user of this machine can read it/g)).toHaveLength(1);
}, 30_000);
