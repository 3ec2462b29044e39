/**
 * The flags that several commands share, in one table each. Environment variables are `LOGAGENT_` + the flag's name.
 * Spread them into a command's `flags`; `connectionOptions` turns the parsed values into `ClientOptions`.
 */
import type { Flags } from "./flag.ts";

const group = "Connection";

export const logFlags = {
  logLevel: {
    type: "choice",
    options: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    env: "LOGAGENT_LOG_LEVEL",
    group: "Log",
    description: "Least level written to stderr",
  },
  logFormat: {
    type: "choice",
    options: ["text", "json"],
    default: "text",
    env: "LOGAGENT_LOG_FORMAT",
    group: "Log",
    description: "Form of the log on stderr",
  },
} as const satisfies Flags;

/** Every command that talks to Kafka has these. */
export const connectionFlags = {
  brokers: {
    type: "string",
    alias: "b",
    multiple: true,
    value: "HOST:PORT,…",
    env: "LOGAGENT_BROKERS",
    group,
    description: "Bootstrap brokers, comma-separated; default localhost:9092",
  },
  tls: { type: "boolean", env: "LOGAGENT_TLS", group, description: "Connect with TLS" },
  tlsCa: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_TLS_CA",
    group,
    description: "PEM file of the authorities to trust; implies --tls",
  },
  tlsCert: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_TLS_CERT",
    group,
    description: "PEM file of the client certificate; implies --tls",
  },
  tlsKey: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_TLS_KEY",
    group,
    description: "PEM file of the client certificate's key",
  },
  tlsKeyPassphraseFile: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_TLS_KEY_PASSPHRASE_FILE",
    group,
    description: "File with the passphrase of an encrypted --tls-key",
  },
  tlsInsecure: {
    type: "boolean",
    env: "LOGAGENT_TLS_INSECURE",
    group,
    description: "Accept any certificate and host name; implies --tls",
  },
  saslMechanism: {
    type: "choice",
    options: ["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"],
    env: "LOGAGENT_SASL_MECHANISM",
    group,
    description: "Authenticate with SASL",
  },
  saslUsername: { type: "string", env: "LOGAGENT_SASL_USERNAME", group, description: "SASL user" },
  saslPasswordFile: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_SASL_PASSWORD_FILE",
    group,
    description: "File with the SASL password; or set LOGAGENT_SASL_PASSWORD",
  },
  oauthTokenEndpoint: {
    type: "string",
    value: "URL",
    env: "LOGAGENT_OAUTH_TOKEN_ENDPOINT",
    group,
    description: "Token endpoint for oauthbearer (client credentials)",
  },
  oauthClientId: {
    type: "string",
    env: "LOGAGENT_OAUTH_CLIENT_ID",
    group,
    description: "Client id for oauthbearer",
  },
  oauthClientSecretFile: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_OAUTH_CLIENT_SECRET_FILE",
    group,
    description: "File with the client's secret; or set LOGAGENT_OAUTH_CLIENT_SECRET",
  },
  oauthScope: { type: "string", env: "LOGAGENT_OAUTH_SCOPE", group, description: "Scope to ask for" },
  clientId: {
    type: "string",
    env: "LOGAGENT_CLIENT_ID",
    group,
    description: "Name of this client in the brokers' logs and quotas; default logagent",
  },
  connectTimeout: {
    type: "duration",
    env: "LOGAGENT_CONNECT_TIMEOUT",
    group,
    description: "Longest wait for a connection; default 10s",
  },
  requestTimeout: {
    type: "duration",
    env: "LOGAGENT_REQUEST_TIMEOUT",
    group,
    description: "Longest wait for an answer; default 30s",
  },
  ...logFlags,
} as const satisfies Flags;

/** What `tail` and `produce` share. */
export const producerFlags = {
  delivery: {
    type: "choice",
    options: ["at-least-once", "exactly-once"],
    default: "at-least-once",
    env: "LOGAGENT_DELIVERY",
    group: "Delivery",
    description: "exactly-once uses transactions; readers need read-committed",
  },
  acks: {
    type: "choice",
    options: ["0", "1", "all"],
    default: "all",
    env: "LOGAGENT_ACKS",
    group: "Delivery",
    description: "Acknowledgements to wait for; 0 and 1 switch idempotence off",
  },
  compression: {
    type: "choice",
    options: ["none", "gzip", "snappy", "lz4", "zstd"],
    default: "none",
    alias: "z",
    env: "LOGAGENT_COMPRESSION",
    group: "Delivery",
    description: "Codec of the record batches",
  },
  compressionLevel: {
    type: "integer",
    env: "LOGAGENT_COMPRESSION_LEVEL",
    group: "Delivery",
    description: "The codec's own level",
  },
  linger: {
    type: "duration",
    default: 5,
    env: "LOGAGENT_LINGER",
    group: "Delivery",
    description: "How long a batch waits for more records",
  },
  batchSize: {
    type: "size",
    default: 1_000_000,
    min: 1024,
    env: "LOGAGENT_BATCH_SIZE",
    group: "Delivery",
    description: "Largest record batch, before compression",
  },
  bufferMemory: {
    type: "size",
    default: 32 * 1024 * 1024,
    min: 1_048_576,
    env: "LOGAGENT_BUFFER_MEMORY",
    group: "Delivery",
    description: "Most bytes of unacknowledged batches held in memory",
  },
} as const satisfies Flags;
