/** The connection flags against real TLS and SASL listeners with ACLs, and the exit codes of what is refused. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type KafkaCluster, startKafka, users } from "../kafka/broker.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { cli } from "./cli.ts";

const dir = tempDir("secure");
let kafka: KafkaCluster;
beforeAll(async () => {
  kafka = await startKafka({
    listeners: {
      TLS: { protocol: "SSL" },
      MUTUAL: { protocol: "SSL", clientAuth: true },
      SASL: { protocol: "SASL_SSL", mechanisms: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] },
      OAUTH: { protocol: "SASL_PLAINTEXT", mechanisms: ["OAUTHBEARER"] },
    },
    scram: true,
    acls: true,
  });
  await kafka.createTopic("secured");
}, 90_000);
afterAll(async () => {
  await kafka?.stop();
  removeDir(dir);
});

function list(
  listener: string,
  flags: readonly string[],
  env: Record<string, string> = {},
  command = ["topics", "list", "-o", "name"],
) {
  return cli([...command, "-b", kafka.listeners[listener]!, ...flags], { env });
}

function password(text: string): string {
  const file = join(dir, `password-${text}`);
  writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

test("TLS with the authority, or with --tls-insecure; without either 78 or 69, never a hang", async () => {
  const good = ["--tls-ca", kafka.secrets.ca];
  expect(await list("TLS", good)).toMatchObject({ code: 0, stdout: "secured\n" });
  expect(await list("TLS", ["--tls-insecure"])).toMatchObject({ code: 0, stdout: "secured\n" });
  const unknown = await list("TLS", ["--tls"]);
  expect([unknown.code, unknown.stdout]).toEqual([78, ""]);
  expect(unknown.stderr).toContain("certificate");
  expect((await list("TLS", ["--connect-timeout", "3s"])).code).toBe(69);
}, 30_000);

test("a client certificate", async () => {
  const { ca, clientCert, clientKey } = kafka.secrets;
  const flags = ["--tls-ca", ca, "--tls-cert", clientCert, "--tls-key", clientKey];
  // CN=client has no rights: it is let in and sees no topic.
  expect(await list("MUTUAL", flags)).toMatchObject({ code: 0, stdout: "", stderr: "" });
  expect((await list("MUTUAL", ["--tls-ca", ca])).code).not.toBe(0);
}, 30_000);

test.each(["plain", "scram-sha-256", "scram-sha-512"])(
  "SASL %s with the password from a file or the environment; 77 for a wrong one",
  async (mechanism) => {
    const flags = ["--tls-ca", kafka.secrets.ca, "--sasl-mechanism", mechanism, "--sasl-username", "admin"];
    const file = ["--sasl-password-file", password(users.admin!)];
    expect(await list("SASL", [...flags, ...file])).toMatchObject({ code: 0, stdout: "secured\n" });
    expect((await list("SASL", flags, { LOGAGENT_SASL_PASSWORD: users.admin! })).code).toBe(0);
    const wrong = await list("SASL", flags, { LOGAGENT_SASL_PASSWORD: "wrong-secret" });
    expect([wrong.code, wrong.stdout]).toEqual([77, ""]);
    expect(wrong.stderr).not.toContain("wrong-secret");
  },
  30_000,
);

test("a user without rights gets 77 where something is refused, and the name of what", async () => {
  const flags = ["--tls-ca", kafka.secrets.ca, "--sasl-mechanism", "plain", "--sasl-username", "alice"];
  const env = { LOGAGENT_SASL_PASSWORD: users.alice! };
  expect(await list("SASL", flags, env)).toMatchObject({ code: 0, stdout: "" });
  for (const command of [
    ["topics", "describe", "secured"],
    ["topics", "create", "mine"],
    ["topics", "delete", "secured"],
    ["topics", "alter", "secured", "-c", "retention.ms=1000"],
    ["topics", "offsets", "secured"],
    ["groups", "describe", "readers"],
    ["groups", "delete", "readers"],
  ]) {
    const { code, stderr } = await list("SASL", flags, env, command);
    expect([command.join(" "), code]).toEqual([command.join(" "), 77]);
    expect(stderr).toMatch(/secured|mine|readers/);
    expect(stderr).toMatch(/authoriz/i);
  }
}, 60_000);

test("oauthbearer with a token of the endpoint", async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const token = `${part({ alg: "none" })}.${part({ sub: "admin", iat: now, exp: now + 600 })}.`;
  const server = createServer((_, response) => response.end(JSON.stringify({ access_token: token })));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const flags = ["--sasl-mechanism", "oauthbearer", "--oauth-token-endpoint", endpoint, "--oauth-client-id", "id"];
  try {
    expect(await list("OAUTH", flags, { LOGAGENT_OAUTH_CLIENT_SECRET: "s" })).toMatchObject({
      code: 0,
      stdout: "secured\n",
    });
  } finally {
    server.close();
  }
}, 30_000);
