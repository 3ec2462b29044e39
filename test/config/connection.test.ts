import { afterAll, describe, expect, test } from "bun:test";
import { createPrivateKey } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connectionOptions } from "../../src/config/connection.ts";
import { makeAuthority } from "../kafka/certificates.ts";
import { removeDir, tempDir } from "../support/temp.ts";

const dir = tempDir("connection");
const secret = join(dir, "password");
writeFileSync(secret, "from file\n");
afterAll(() => removeDir(dir));

test("brokers get the default port; IPv6 is known", () => {
  const { brokers } = connectionOptions({ brokers: ["a, b:1", "[::1]:2", "[::1]"] }, {});
  expect(brokers).toEqual(["a:9092", "b:1", "[::1]:2", "[::1]:9092"]);
});

test.each(["a:", "a:x", "a:0", "a:65536", "http://a:1", "u@a"])("broker %s is refused", (broker) => {
  expect(() => connectionOptions({ brokers: [broker] }, {})).toThrow("must be HOST or HOST:PORT");
});

describe("the password", () => {
  const flags = { saslMechanism: "plain", saslUsername: "u" } as const;

  test("comes from the file, else from the environment", () => {
    const env = { LOGAGENT_SASL_PASSWORD: "from env" };
    expect(connectionOptions(flags, env).sasl).toMatchObject({ password: "from env" });
    expect(connectionOptions({ ...flags, saslPasswordFile: secret }, env).sasl).toMatchObject({
      password: "from file",
    });
  });

  test("is asked for when it is missing", () => {
    expect(() => connectionOptions(flags, {})).toThrow("give --sasl-password-file or set LOGAGENT_SASL_PASSWORD");
  });

  test("in a file that cannot be read ends with 74", () => {
    const read = () => connectionOptions({ ...flags, saslPasswordFile: join(dir, "none") }, {});
    expect(read).toThrow(expect.objectContaining({ code: "FILE_IO" }));
  });
});

test.each([
  [{ tlsCert: secret }, "--tls-cert and --tls-key belong together"],
  [{ saslUsername: "u" }, "without --sasl-mechanism"],
  [{ saslMechanism: "plain" }, "--sasl-mechanism plain needs --sasl-username"],
  [{ saslMechanism: "oauthbearer" }, "needs --oauth-token-endpoint"],
] as const)("%p is incomplete", (flags, message) => expect(() => connectionOptions(flags, {})).toThrow(message));

test("TLS files imply TLS", () => {
  const ca = join(dir, "ca.pem");
  const { cert } = makeAuthority();
  writeFileSync(ca, cert);
  expect(connectionOptions({ tlsCa: ca }, {}).tls).toEqual({ ca: cert });
  expect(connectionOptions({ tlsInsecure: true }, {}).tls).toEqual({ insecure: true });
  expect(connectionOptions({}, {}).tls).toBeUndefined();
});

describe("TLS files that hold something else", () => {
  const { cert, key } = makeAuthority();
  const der = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const write = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  // PFX ::= SEQUENCE { version INTEGER (3), … }
  const pkcs12 = Buffer.concat([Buffer.from([0x30, 0x82, 0x01, 0x00, 0x02, 0x01, 0x03]), Buffer.alloc(256)]);

  test.each<[string, string | Buffer, string]>([
    ["pkcs12", pkcs12, "a PKCS #12 store; convert it: openssl pkcs12"],
    ["der", der(cert), "a DER certificate; convert it: openssl x509"],
    ["der-key", der(key), "a DER key; convert it: openssl pkey"],
    ["jks", Buffer.from([0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]), "a Java key store"],
    ["key", key, 'a PEM "PRIVATE KEY"'],
    ["garbage", "garbage", "it is no PEM file"],
    ["empty", "", "it is empty"],
    ["damaged", cert.replace(/M/g, "N"), "its certificates are damaged"],
  ])("--tls-ca %s: 78, and what it is", (name, content, what) => {
    const tlsCa = write(name, content);
    const read = () => connectionOptions({ tlsCa }, {});
    expect(read).toThrow(what);
    expect(read).toThrow(expect.objectContaining({ code: "CONFIG", exitCode: 78 }));
  });

  test("an encrypted key is opened by its passphrase", () => {
    const plain = createPrivateKey(key);
    const cipher = { cipher: "aes-256-cbc", passphrase: "open sesame" };
    const tlsKey = write("encrypted", String(plain.export({ type: "pkcs8", format: "pem", ...cipher })));
    const tlsCert = write("cert", cert);
    expect(() => connectionOptions({ tlsCert, tlsKey }, {})).toThrow("encrypted; give --tls-key-passphrase-file");
    const wrong = { tlsCert, tlsKey, tlsKeyPassphraseFile: write("wrong", "x\n") };
    expect(() => connectionOptions(wrong, {})).toThrow("does not open the key");
    const right = { tlsCert, tlsKey, tlsKeyPassphraseFile: write("right", "open sesame\n") };
    const opened = connectionOptions(right, {}).tls?.key ?? "";
    expect(createPrivateKey(opened).equals(plain)).toBe(true);
  });
});

describe("oauthbearer", () => {
  const flags = (port: number) =>
    ({
      saslMechanism: "oauthbearer",
      oauthTokenEndpoint: `http://127.0.0.1:${port}/token`,
      oauthClientId: "id:1",
      oauthScope: "kafka",
    }) as const;

  async function ask(status: number, body: string): Promise<{ token: Promise<string>; seen: string[] }> {
    const seen: string[] = [];
    const server = createServer(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      seen.push(request.headers.authorization ?? "", text);
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const options = connectionOptions(flags((server.address() as AddressInfo).port), {
      LOGAGENT_OAUTH_CLIENT_SECRET: "s",
    });
    if (options.sasl?.mechanism !== "oauthbearer") throw new Error("not oauthbearer");
    const token = options.sasl.token().finally(() => server.close());
    await token.catch(() => {});
    return { token, seen };
  }

  test("asks the endpoint with the client's credentials", async () => {
    const { token, seen } = await ask(200, '{"access_token":"abc","expires_in":60}');
    expect(await token).toBe("abc");
    expect(seen).toEqual([`Basic ${btoa("id%3A1:s")}`, "grant_type=client_credentials&scope=kafka"]);
  });

  for (const status of [200, 500]) {
    test(`an answer with status ${status} that never ends is given up, not kept`, async () => {
      let sent = 0;
      const server = createServer((_, response) => {
        response.writeHead(status);
        const block = Buffer.alloc(65_536, " ");
        const go = () => {
          while (!response.destroyed && sent < 256 << 20) {
            sent += block.length;
            if (!response.write(block)) return void response.once("drain", go);
          }
        };
        go();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const options = connectionOptions(flags((server.address() as AddressInfo).port), {
        LOGAGENT_OAUTH_CLIENT_SECRET: "s",
      });
      if (options.sasl?.mechanism !== "oauthbearer") throw new Error("not oauthbearer");
      const code = status === 200 ? "AUTHENTICATION" : "BROKER_UNAVAILABLE";
      await expect(options.sasl.token()).rejects.toThrow(expect.objectContaining({ code }));
      server.closeAllConnections();
      server.close();
      expect(sent).toBeLessThan(64 << 20);
    });
  }

  test("an endpoint that refuses is an authentication error", async () => {
    const { token } = await ask(401, "no");
    await expect(token).rejects.toThrow(expect.objectContaining({ code: "AUTHENTICATION" }));
  });
});
