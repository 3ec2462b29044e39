/** Real TLS and SASL listeners: what works works with the real binary; what fails says which layer and exits for it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { logagent, type SpawnOptions, startLogagent } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { type KafkaCluster, kafkaTool, startKafka } from "./broker.ts";

let kafka: KafkaCluster;
let tokens: Server;
const dir = tempDir("security");
const file = (name: string) => join(dir, name);

beforeAll(async () => {
  const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] as const;
  kafka = await startKafka({
    scram: true,
    acls: true,
    listeners: {
      TLS: { protocol: "SSL" },
      MTLS: { protocol: "SSL", clientAuth: true },
      EXPIRED: { protocol: "SSL", certificate: "expired" },
      WRONGHOST: { protocol: "SSL", certificate: "wrong-host" },
      SASL: { protocol: "SASL_PLAINTEXT", mechanisms },
      PLAINONLY: { protocol: "SASL_PLAINTEXT", mechanisms: ["PLAIN"] },
      SASLTLS: { protocol: "SASL_SSL", mechanisms },
    },
    // The client certificate's name may do everything, too.
    config: { "super.users": "User:admin;User:ANONYMOUS;User:CN=client" },
  });
  await kafka.createTopic("secure", 1);
  await kafka.createTopic("forbidden", 1);
  const operations = ["Write", "Read", "Describe"].flatMap((operation) => ["--operation", operation]);
  const entry = ["--add", "--allow-principal", "User:alice", ...operations, "--topic", "secure"];
  await kafkaTool("org.apache.kafka.tools.AclCommand", ["--bootstrap-server", kafka.direct, ...entry]);
  writeFileSync(file("password"), "admin-secret\n", { mode: 0o600 });
  writeFileSync(file("secret"), "client-secret\n", { mode: 0o600 });
  tokens = createServer((request, response) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    const credentials = Buffer.from((request.headers.authorization ?? "").replace("Basic ", ""), "base64").toString();
    request.resume();
    if (credentials !== "client:client-secret") response.writeHead(401).end('{"error":"invalid_client"}');
    else {
      const token = `${part({ alg: "none" })}.${part({ sub: "admin", iat: now, exp: now + 300 })}.`;
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ access_token: token, token_type: "bearer", expires_in: 300 }));
    }
  });
  await new Promise<void>((resolve) => tokens.listen(0, "127.0.0.1", resolve));
}, 120_000);

afterAll(async () => {
  tokens?.close();
  await kafka?.stop();
  removeDir(dir);
});

let sent = 0;

/** Produces one record with the flags and reads it back with the same flags. */
async function roundTrip(listener: string, flags: readonly string[], options: SpawnOptions = {}): Promise<void> {
  const brokers = ["--brokers", kafka.listeners[listener]!, ...flags];
  const value = `value ${++sent}`;
  const produced = await logagent(["produce", "secure", "--value", value, ...brokers], options);
  const warned = flags.includes("--tls-insecure") ? expect.stringMatching(/^\[warn\] --tls-insecure.*\n$/) : "";
  expect([produced.code, produced.stderr]).toEqual([0, warned]);
  const consumed = await logagent(["consume", "secure", "--offsets", "-1", "--exit-at-end", ...brokers], options);
  expect([consumed.code, consumed.stdout]).toEqual([0, `${value}\n`]);
}

async function refused(listener: string, flags: readonly string[], options: SpawnOptions = {}, topic = "secure") {
  const brokers = ["--brokers", kafka.listeners[listener]!, "--timeout", "4s", ...flags];
  const result = await logagent(["produce", topic, "--value", "x", ...brokers], options);
  expect(result.stdout).toBe("");
  for (const secret of ["admin-secret", "alice-secret", "wrong-secret", "client-secret"]) {
    expect(result.stderr).not.toContain(secret);
  }
  return result;
}

const ca = () => ["--tls-ca", kafka.secrets.ca];
const login = (user: string, password: string) => ({
  flags: ["--sasl-username", user],
  env: { LOGAGENT_SASL_PASSWORD: password },
});

describe("works", () => {
  test("TLS", () => roundTrip("TLS", ca()));

  test("TLS with a client certificate", () =>
    roundTrip("MTLS", [...ca(), "--tls-cert", kafka.secrets.clientCert, "--tls-key", kafka.secrets.clientKey]));

  test("TLS without checks, when asked for", () => roundTrip("EXPIRED", ["--tls-insecure"]));

  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
    test(`SASL ${mechanism}, the password from the environment`, () => {
      const { flags, env } = login("alice", "alice-secret");
      return roundTrip("SASL", ["--sasl-mechanism", mechanism, ...flags], { env });
    });

    test(`SASL ${mechanism} over TLS, the password from a file`, () =>
      roundTrip("SASLTLS", [
        ...ca(),
        ...["--sasl-mechanism", mechanism, "--sasl-username", "admin", "--sasl-password-file", file("password")],
      ]));
  }

  test("SASL oauthbearer with client credentials", () =>
    roundTrip("SASL", [
      ...[
        "--sasl-mechanism",
        "oauthbearer",
        "--oauth-token-endpoint",
        `http://127.0.0.1:${(tokens.address() as AddressInfo).port}`,
      ],
      ...["--oauth-client-id", "client", "--oauth-client-secret-file", file("secret")],
    ]));
});

describe("fails with the layer's exit code and a text that names it", () => {
  for (const mechanism of ["plain", "scram-sha-256", "scram-sha-512"]) {
    test(`a wrong password with ${mechanism}: 77`, async () => {
      const { flags, env } = login("alice", "wrong-secret");
      const { code, stderr } = await refused("SASL", ["--sasl-mechanism", mechanism, ...flags], { env });
      expect(stderr).toMatch(/authentic|credentials/i);
      expect(code).toBe(77);
    });
  }

  test("an unknown user: 77", async () => {
    const { flags, env } = login("mallory", "wrong-secret");
    const { code, stderr } = await refused("SASL", ["--sasl-mechanism", "scram-sha-256", ...flags], { env });
    expect(stderr).toMatch(/authentic|credentials/i);
    expect(code).toBe(77);
  });

  test("a wrong client secret for the token endpoint: 77", async () => {
    const { code, stderr } = await refused(
      "SASL",
      [
        "--sasl-mechanism",
        "oauthbearer",
        "--oauth-token-endpoint",
        `http://127.0.0.1:${(tokens.address() as AddressInfo).port}`,
        "--oauth-client-id",
        "client",
      ],
      { env: { LOGAGENT_OAUTH_CLIENT_SECRET: "wrong-secret" } },
    );
    expect(stderr).toMatch(/token|401|oauth/i);
    expect(code).toBe(77);
  });

  test("an expired certificate: 78", async () => {
    const { code, stderr } = await refused("EXPIRED", ca());
    expect(stderr).toMatch(/TLS.*expired/i);
    expect(code).toBe(78);
  });

  test("an agent waits for an expired certificate to be renewed, and says so with its clock", async () => {
    const log = file("a.log");
    writeFileSync(log, "x\n");
    const args = [
      "--topic",
      "secure",
      "--brokers",
      kafka.listeners.EXPIRED!,
      ...ca(),
      "--state",
      file("s/state.jsonl"),
    ];
    const agent = startLogagent(["tail", log, ...args]);
    await agent.says(/\[error\].*TLS.*expired.*clock of this machine says.*trying again/);
    const { code, signal } = await agent.stop();
    expect([code, signal]).toEqual([0, null]);
    expect((await logagent(["tail", log, ...args, "--once"])).code).toBe(78);
  });

  test("a certificate for another host: 78", async () => {
    const { code, stderr } = await refused("WRONGHOST", ca());
    expect(stderr).toMatch(/TLS.*(altname|host)/i);
    expect(code).toBe(78);
  });

  test("a certificate of an unknown authority: 78", async () => {
    const { code, stderr } = await refused("TLS", ["--tls"]);
    expect(stderr).toMatch(/TLS.*--tls-ca/is);
    expect(code).toBe(78);
  });

  test("no client certificate where one is required: 78", async () => {
    const { code, stderr } = await refused("MTLS", ca());
    expect(stderr).toMatch(/certificate/i);
    expect([69, 78]).toContain(code!);
  });

  test("plaintext against a TLS listener, TLS against a plaintext one: the text says so", async () => {
    const plain = await refused("TLS", []);
    expect([plain.code, plain.stderr]).toEqual([69, expect.stringMatching(/may need TLS|--tls/)]);
    const tls = await logagent([
      "produce",
      "secure",
      "--value",
      "x",
      "--brokers",
      kafka.direct,
      "--tls",
      "--timeout",
      "4s",
    ]);
    expect([tls.code, tls.stderr]).toEqual([expect.any(Number), expect.stringMatching(/TLS/)]);
    expect([69, 78]).toContain(tls.code!);
  });

  test("no SASL on a listener that wants it, a mechanism that it does not offer: said, with its list", async () => {
    const none = await refused("SASL", []);
    expect([none.code, none.stderr]).toEqual([69, expect.stringMatching(/may require SASL \(--sasl-mechanism\)/)]);
    const { flags, env } = login("admin", "admin-secret");
    const plainOnly = await refused("PLAINONLY", ["--sasl-mechanism", "scram-sha-256", ...flags], { env });
    expect([plainOnly.code, plainOnly.stderr]).toEqual([77, expect.stringMatching(/it offers PLAIN$/m)]);
  });

  test("a missing ACL: 77, naming the topic", async () => {
    const { flags, env } = login("alice", "alice-secret");
    const { code, stderr } = await refused("SASL", ["--sasl-mechanism", "plain", ...flags], { env }, "forbidden");
    expect(stderr).toMatch(/authoriz/i);
    expect(stderr).toContain("forbidden");
    expect(code).toBe(77);
    const words = ["consume", "forbidden", "--offsets", "start", "--exit-at-end", "--brokers", kafka.listeners.SASL!];
    const consumed = await logagent([...words, "--timeout", "4s", "--sasl-mechanism", "plain", ...flags], { env });
    expect([consumed.code, consumed.stderr]).toEqual([77, expect.stringMatching(/"forbidden".*(authoriz|allow)/i)]);
  });

  test("tail with a wrong password ends with 77, its state untouched", async () => {
    const { flags, env } = login("alice", "wrong-secret");
    writeFileSync(file("a.log"), "one\n");
    const words = ["tail", file("a.log"), "--once", "--topic", "secure", "--state", file("state.jsonl")];
    const { code, stderr } = await logagent(
      [...words, "--brokers", kafka.listeners.SASL!, "--timeout", "4s", "--sasl-mechanism", "plain", ...flags],
      { env },
    );
    expect(stderr).toMatch(/authentic|credentials/i);
    expect(code).toBe(77);
  });
});
