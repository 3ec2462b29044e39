/** Connections that work and yet give a secret away: told once, when a command or the agent starts. */
import { statSync } from "node:fs";
import { brokerList, type ConnectionFlags } from "./connection.ts";
import { flagName } from "./flag.ts";

/** One sentence each, for a warning; what stays on this machine (loopback addresses) is no risk. */
export function connectionRisks(flags: ConnectionFlags): string[] {
  const { saslMechanism, oauthTokenEndpoint: endpoint, tlsInsecure } = flags;
  const encrypted = Boolean(flags.tls || flags.tlsCa || flags.tlsCert || flags.tlsKey || tlsInsecure);
  const risks: string[] = [];
  if ((saslMechanism === "plain" || saslMechanism === "oauthbearer") && !encrypted && leavesMachine(flags.brokers)) {
    const secret = saslMechanism === "plain" ? "the password" : "the token";
    risks.push(`SASL ${saslMechanism} without TLS sends ${secret} over the network for everybody to read; give --tls`);
  }
  if (tlsInsecure) {
    risks.push(
      "--tls-insecure: whoever answers is taken for the broker; give the authority's certificate with --tls-ca",
    );
  }
  if (saslMechanism === "oauthbearer" && endpoint && URL.canParse(endpoint)) {
    const { protocol, hostname } = new URL(endpoint);
    if (protocol === "http:" && !isLoopback(hostname)) {
      risks.push(`--oauth-token-endpoint ${endpoint}: the client's secret goes over the network for everybody to read`);
    }
  }
  for (const key of ["saslPasswordFile", "oauthClientSecretFile", "tlsKey", "tlsKeyPassphraseFile"] as const) {
    const file = flags[key];
    if (file && isPublic(file))
      risks.push(`--${flagName(key)} ${file}: every user of this machine can read it; chmod o-r it`);
  }
  return risks;
}

function leavesMachine(brokers: readonly string[] | undefined): boolean {
  try {
    return brokerList(brokers ?? []).some((broker) => !isLoopback(broker.slice(0, broker.lastIndexOf(":"))));
  } catch {
    // The addresses are a problem of their own.
    return false;
  }
}

function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i.test(host);
}

function isPublic(path: string): boolean {
  try {
    return process.platform !== "win32" && (statSync(path).mode & 0o004) !== 0;
  } catch {
    return false;
  }
}
