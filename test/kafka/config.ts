/** server.properties of a node in KRaft's combined mode: small, quick to start, quick to notice a dead neighbour. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Authority, expired, makeAuthority } from "./certificates.ts";

export type Mechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER";

/** A listener for clients besides the plaintext ones; its key in `listeners` is its name: capital letters and digits. */
export interface ListenerOptions {
  protocol: "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL";
  mechanisms?: readonly Mechanism[];
  /** The client must show a certificate of the same authority. */
  clientAuth?: boolean;
  certificate?: "valid" | "expired" | "wrong-host";
}

/** Name → password, on every SASL listener. */
export const users: Readonly<Record<string, string>> = { admin: "admin-secret", alice: "alice-secret" };

export interface Secrets {
  authority: Authority;
  /** PEM files for clients. */
  ca: string;
  clientCert: string;
  clientKey: string;
}

/** Writes the authority and a client certificate (`CN=client`) into `dir`. */
export function makeSecrets(dir: string): Secrets {
  const authority = makeAuthority();
  const client = authority.issue("client");
  const files = { ca: join(dir, "ca.pem"), clientCert: join(dir, "client.pem"), clientKey: join(dir, "client.key") };
  writeFileSync(files.ca, authority.cert);
  writeFileSync(files.clientCert, client.cert);
  writeFileSync(files.clientKey, client.key, { mode: 0o600 });
  return { authority, ...files };
}

function jaas(mechanism: Mechanism): string {
  switch (mechanism) {
    case "PLAIN": {
      const list = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
      const own = `username="admin" password="${users.admin}"`;
      return `org.apache.kafka.common.security.plain.PlainLoginModule required ${own} ${list.join(" ")};`;
    }
    case "OAUTHBEARER":
      return 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";';
    default:
      return "org.apache.kafka.common.security.scram.ScramLoginModule required;";
  }
}

/** The properties of one listener beyond its address. */
export function listenerProperties(
  name: string,
  { protocol, mechanisms = [], clientAuth = false, certificate = "valid" }: ListenerOptions,
  dir: string,
  secrets: Secrets,
): Record<string, string> {
  const prefix = `listener.name.${name.toLowerCase()}`;
  const properties: Record<string, string> = {};
  if (protocol.endsWith("SSL")) {
    const hosts = certificate === "wrong-host" ? ["elsewhere.example"] : ["localhost", "127.0.0.1"];
    const { cert, key } = secrets.authority.issue("kafka", { hosts, ...(certificate === "expired" ? expired : {}) });
    const store = join(dir, `${name}.pem`);
    writeFileSync(store, key + cert, { mode: 0o600 });
    properties[`${prefix}.ssl.keystore.type`] = "PEM";
    properties[`${prefix}.ssl.keystore.location`] = store;
    properties[`${prefix}.ssl.truststore.type`] = "PEM";
    properties[`${prefix}.ssl.truststore.location`] = secrets.ca;
    properties[`${prefix}.ssl.client.auth`] = clientAuth ? "required" : "none";
  }
  if (protocol.startsWith("SASL")) {
    properties[`${prefix}.sasl.enabled.mechanisms`] = mechanisms.join(",");
    for (const mechanism of mechanisms) {
      properties[`${prefix}.${mechanism.toLowerCase()}.sasl.jaas.config`] = jaas(mechanism);
    }
  }
  return properties;
}

/** What every node has; internal topics are small, failures are noticed within about 3 s. */
export function baseProperties(nodes: number): Record<string, string | number> {
  return {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "DIRECT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": nodes,
    "min.insync.replicas": nodes === 1 ? 1 : 2,
    "offsets.topic.num.partitions": 3,
    "offsets.topic.replication.factor": nodes,
    "transaction.state.log.num.partitions": 3,
    "transaction.state.log.replication.factor": nodes,
    "transaction.state.log.min.isr": nodes === 1 ? 1 : 2,
    "share.coordinator.state.topic.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": nodes,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    // Records with old timestamps stay.
    "log.retention.ms": -1,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 4_194_304,
    "controlled.shutdown.enable": nodes > 1 ? "true" : "false",
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3_000,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1_000,
    "replica.lag.time.max.ms": 3_000,
  };
}

export function writeProperties(file: string, properties: Record<string, string | number>): void {
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${String(value).replaceAll("\\", "\\\\")}`);
  writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
}
