/** Connection settings from flags and environment (and, for `tail`, the file) → `ClientOptions`. */
import { readFileSync } from "node:fs";
import { type ErrorCode, LogagentError } from "../errors.ts";
import type { ClientOptions, SaslOptions, TlsOptions } from "../kafka/cluster/client.ts";
import type { FlagValues } from "./flag.ts";
import type { connectionFlags } from "./flags.ts";

export type ConnectionFlags = Partial<FlagValues<typeof connectionFlags>>;
type Env = Record<string, string | undefined>;

/**
 * Checks addresses and combinations and reads the files that are named. Throws LogagentError USAGE for a wrong
 * combination, FILE_IO for a file that cannot be read.
 */
export function connectionOptions(flags: ConnectionFlags, env: Env = process.env): ClientOptions {
  const tls = tlsOptions(flags);
  const sasl = saslOptions(flags, env);
  return {
    brokers: brokerList(flags.brokers?.length ? flags.brokers : ["localhost:9092"]),
    clientId: flags.clientId ?? "logagent",
    ...(tls ? { tls } : {}),
    ...(sasl ? { sasl } : {}),
    ...(flags.connectTimeout === undefined ? {} : { connectTimeout: flags.connectTimeout }),
    ...(flags.requestTimeout === undefined ? {} : { requestTimeout: flags.requestTimeout }),
  };
}

/** `["a:9092,b", "[::1]:9093"]` → `["a:9092", "b:9092", "[::1]:9093"]`. */
export function brokerList(values: readonly string[]): string[] {
  const brokers = values.flatMap((value) => value.split(",")).map((broker) => broker.trim());
  return brokers.filter(Boolean).map((broker) => {
    const match = /^(\[[0-9a-fA-F:.%]+\]|[^\s:/@]+)(?::(\d+))?$/.exec(broker);
    const port = Number(match?.[2] ?? 9092);
    if (!match || port < 1 || port > 65_535) {
      throw new LogagentError("USAGE", `reading --brokers: "${broker}" must be HOST or HOST:PORT`);
    }
    return `${match[1]}:${port}`;
  });
}

function tlsOptions(flags: ConnectionFlags): TlsOptions | undefined {
  if (!flags.tls && !flags.tlsCa && !flags.tlsCert && !flags.tlsKey && !flags.tlsInsecure) return undefined;
  if (Boolean(flags.tlsCert) !== Boolean(flags.tlsKey)) {
    throw new LogagentError("USAGE", "--tls-cert and --tls-key belong together; only one of them is given");
  }
  return {
    ...(flags.tlsCa ? { ca: readText("--tls-ca", flags.tlsCa) } : {}),
    ...(flags.tlsCert ? { cert: readText("--tls-cert", flags.tlsCert) } : {}),
    ...(flags.tlsKey ? { key: readText("--tls-key", flags.tlsKey) } : {}),
    ...(flags.tlsInsecure ? { insecure: true } : {}),
  };
}

function saslOptions(flags: ConnectionFlags, env: Env): SaslOptions | undefined {
  const mechanism = flags.saslMechanism;
  if (mechanism === undefined) {
    if (!flags.saslUsername && !flags.saslPasswordFile) return undefined;
    throw new LogagentError("USAGE", "a SASL user or password is given without --sasl-mechanism");
  }
  if (mechanism === "oauthbearer") {
    const endpoint = required("--oauth-token-endpoint", flags.oauthTokenEndpoint, mechanism);
    if (!URL.canParse(endpoint))
      throw new LogagentError("USAGE", `--oauth-token-endpoint must be a URL; got "${endpoint}"`);
    const id = required("--oauth-client-id", flags.oauthClientId, mechanism);
    const secret = secretOf(
      "--oauth-client-secret-file",
      flags.oauthClientSecretFile,
      env,
      "LOGAGENT_OAUTH_CLIENT_SECRET",
    );
    return { mechanism, token: () => clientCredentials(endpoint, id, secret, flags.oauthScope) };
  }
  return {
    mechanism,
    username: required("--sasl-username", flags.saslUsername, mechanism),
    password: secretOf("--sasl-password-file", flags.saslPasswordFile, env, "LOGAGENT_SASL_PASSWORD"),
  };
}

function required(flag: string, value: string | undefined, mechanism: string): string {
  if (value) return value;
  throw new LogagentError("USAGE", `--sasl-mechanism ${mechanism} needs ${flag}`);
}

function secretOf(flag: string, file: string | undefined, env: Env, variable: string): string {
  // The file wins: a flag is more deliberate than an inherited environment.
  if (file) return readText(flag, file).replace(/\r?\n$/, "");
  const value = env[variable];
  if (value) return value;
  throw new LogagentError("USAGE", `SASL needs a secret: give ${flag} or set ${variable}`);
}

function readText(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new LogagentError("FILE_IO", `reading ${flag} "${path}": ${(error as Error).message}`, error);
  }
}

/** The client credentials grant: RFC 6749, section 4.4. */
async function clientCredentials(
  endpoint: string,
  id: string,
  secret: string,
  scope: string | undefined,
): Promise<string> {
  const body = new URLSearchParams({ grant_type: "client_credentials", ...(scope ? { scope } : {}) });
  const encode = (text: string) => encodeURIComponent(text);
  const authorization = `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString("base64")}`;
  const fail = (why: string, cause?: unknown, code: ErrorCode = "AUTHENTICATION") =>
    new LogagentError(code, `asking ${endpoint} for an OAuth token: ${why}`, cause);
  let response: Response;
  try {
    response = await fetch(endpoint, {
      method: "POST",
      headers: { authorization, accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
      body: body.toString(),
      signal: AbortSignal.timeout(10_000),
    });
  } catch (error) {
    throw fail((error as Error).message, error, "BROKER_UNAVAILABLE");
  }
  if (!response.ok) {
    const why = `HTTP ${response.status} ${(await response.text()).slice(0, 200)}`;
    // An endpoint in trouble is away like a broker: worth another try.
    throw fail(
      why,
      undefined,
      response.status >= 500 || response.status === 429 ? "BROKER_UNAVAILABLE" : "AUTHENTICATION",
    );
  }
  const answer = (await response.json().catch(() => ({}))) as { access_token?: unknown };
  if (typeof answer.access_token !== "string") throw fail("the answer holds no access_token");
  return answer.access_token;
}
