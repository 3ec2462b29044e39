/** Connection settings from flags and environment (and, for `tail`, the file) → `ClientOptions`. */
import { readFileSync } from "node:fs";
import { type ErrorCode, LogagentError } from "../errors.ts";
import type { ClientOptions, SaslOptions, TlsOptions } from "../kafka/cluster/client.ts";
import { type FlagValues, flagName } from "./flag.ts";
import type { connectionFlags } from "./flags.ts";
import { certificatesOf, privateKeyOf } from "./tls-files.ts";

export type ConnectionFlags = Partial<FlagValues<typeof connectionFlags>>;
type Env = Record<string, string | undefined>;

/** Told of everything that is wrong: the setting's key, what is wrong, and the code it would end a command with. */
export type ConnectionProblem = (key: keyof ConnectionFlags, message: string, error: LogagentError) => void;

/**
 * Checks addresses and combinations and reads the files that are named. Throws LogagentError USAGE for a wrong
 * combination, FILE_IO for a file that cannot be read, CONFIG for one that holds something else.
 */
export function connectionOptions(flags: ConnectionFlags, env: Env = process.env): ClientOptions {
  return resolveConnection(flags, env, (_, __, error) => {
    throw error;
  });
}

/** The same, but goes on after a problem, so that all are told; the result is of use only when there was none. */
export function resolveConnection(flags: ConnectionFlags, env: Env, problem: ConnectionProblem): ClientOptions {
  const attempt = <T>(key: keyof ConnectionFlags, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof LogagentError)) throw error;
      problem(key, error.message, error);
      return undefined;
    }
  };
  const tls = tlsOptions(flags, attempt);
  const sasl = saslOptions(flags, env, attempt);
  const brokers = flags.brokers?.length ? flags.brokers : ["localhost:9092"];
  return {
    brokers: attempt("brokers", () => brokerList(brokers)) ?? [],
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

type Attempt = <T>(key: keyof ConnectionFlags, make: () => T) => T | undefined;

function tlsOptions(flags: ConnectionFlags, attempt: Attempt): TlsOptions | undefined {
  const { tlsCa, tlsCert, tlsKey } = flags;
  if (!flags.tls && !tlsCa && !tlsCert && !tlsKey && !flags.tlsInsecure) return undefined;
  attempt(tlsCert ? "tlsCert" : "tlsKey", () => {
    if (Boolean(tlsCert) === Boolean(tlsKey)) return;
    throw new LogagentError("USAGE", "--tls-cert and --tls-key belong together; only one of them is given");
  });
  const read = (key: "tlsCa" | "tlsCert" | "tlsKey", pem: (flag: string, path: string, bytes: Buffer) => string) => {
    const file = flags[key];
    const flag = `--${flagName(key)}`;
    return file ? attempt(key, () => pem(flag, file, readBytes(flag, file))) : undefined;
  };
  const { tlsKeyPassphraseFile: secret } = flags;
  const passphrase = secret
    ? attempt("tlsKeyPassphraseFile", () => readText("--tls-key-passphrase-file", secret).replace(/\r?\n$/, ""))
    : undefined;
  const ca = read("tlsCa", certificatesOf);
  const cert = read("tlsCert", certificatesOf);
  const key = read("tlsKey", (flag, path, bytes) => privateKeyOf(flag, path, bytes, passphrase));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(flags.tlsInsecure ? { insecure: true } : {}),
  };
}

function saslOptions(flags: ConnectionFlags, env: Env, attempt: Attempt): SaslOptions | undefined {
  const mechanism = flags.saslMechanism;
  if (mechanism === undefined) {
    attempt(flags.saslUsername ? "saslUsername" : "saslPasswordFile", () => {
      if (!flags.saslUsername && !flags.saslPasswordFile) return;
      throw new LogagentError("USAGE", "a SASL user or password is given without --sasl-mechanism");
    });
    return undefined;
  }
  const required = (key: "saslUsername" | "oauthTokenEndpoint" | "oauthClientId") =>
    attempt(key, () => {
      const value = flags[key];
      if (value) return value;
      throw new LogagentError("USAGE", `--sasl-mechanism ${mechanism} needs --${flagName(key)}`);
    }) ?? "";
  const secret = (key: "saslPasswordFile" | "oauthClientSecretFile", variable: string) =>
    attempt(key, () => secretOf(`--${flagName(key)}`, flags[key], env, variable)) ?? "";
  if (mechanism === "oauthbearer") {
    const endpoint = required("oauthTokenEndpoint");
    attempt("oauthTokenEndpoint", () => {
      if (endpoint === "" || URL.canParse(endpoint)) return;
      throw new LogagentError("USAGE", `--oauth-token-endpoint must be a URL; got "${endpoint}"`);
    });
    const id = required("oauthClientId");
    const password = secret("oauthClientSecretFile", "LOGAGENT_OAUTH_CLIENT_SECRET");
    return { mechanism, token: () => clientCredentials(endpoint, id, password, flags.oauthScope) };
  }
  const username = required("saslUsername");
  return { mechanism, username, password: secret("saslPasswordFile", "LOGAGENT_SASL_PASSWORD") };
}

function secretOf(flag: string, file: string | undefined, env: Env, variable: string): string {
  // The file wins: a flag is more deliberate than an inherited environment.
  if (file) {
    const secret = readText(flag, file).replace(/\r?\n$/, "");
    if (secret !== "") return secret;
    throw new LogagentError("USAGE", `reading ${flag} "${file}": the file is empty`);
  }
  const value = env[variable];
  if (value) return value;
  throw new LogagentError("USAGE", `SASL needs a secret: give ${flag} or set ${variable}`);
}

function readText(flag: string, path: string): string {
  return readBytes(flag, path).toString("utf8");
}

function readBytes(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
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
  let text: string | null;
  try {
    text = await boundedText(response, mostTokenBytes);
  } catch (error) {
    throw fail((error as Error).message, error, "BROKER_UNAVAILABLE");
  }
  if (!response.ok) {
    const why = `HTTP ${response.status} ${(text ?? "").slice(0, 200)}`;
    // An endpoint in trouble is away like a broker: worth another try.
    throw fail(
      why,
      undefined,
      response.status >= 500 || response.status === 429 ? "BROKER_UNAVAILABLE" : "AUTHENTICATION",
    );
  }
  if (text === null) throw fail(`the answer is longer than ${mostTokenBytes} bytes`);
  const answer = parsed(text) as { access_token?: unknown } | null;
  if (typeof answer?.access_token !== "string") throw fail("the answer holds no access_token");
  return answer.access_token;
}

/** Bytes; tokens have a few thousand. */
const mostTokenBytes = 1 << 20;

/** The body of an answer; null: it is longer than `most` bytes, and not read any further. */
async function boundedText(response: Response, most: number): Promise<string | null> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    length += part.value.length;
    if (length > most) {
      await reader?.cancel();
      return null;
    }
    parts.push(part.value);
  }
  return Buffer.concat(parts).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
