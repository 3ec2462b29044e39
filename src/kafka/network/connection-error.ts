/**
 * What went wrong with a connection, told apart by who can mend it: the network (BROKER_UNAVAILABLE), the TLS set-up
 * (CONFIG), the credentials (AUTHENTICATION). Texts name the broker and the cause and never hold a secret.
 */
import { closeSync, openSync } from "node:fs";
import { type ErrorCode, LogagentError } from "../../errors.ts";

/** How far a connection had come when it failed. */
export type ConnectionStage = "connecting" | "handshake" | "authenticating" | "open";

/** A connection could not be made or has ended. Whether a request that was under way took effect is not known. */
export class ConnectionError extends LogagentError {
  readonly broker: string;
  readonly stage: ConnectionStage;
  /** A certificate is not valid yet or any more: a clock that is set or a certificate that is renewed mends it. */
  readonly outOfTime: boolean;
  /** The short reason alone, without the broker. */
  readonly reason: string;

  constructor(code: ErrorCode, broker: string, stage: ConnectionStage, reason: string, cause?: unknown) {
    super(code, `${stage === "open" ? "talking" : "connecting"} to ${broker}: ${reason}`, cause);
    this.broker = broker;
    this.outOfTime = code === "CONFIG" && /expired|not yet valid|NOT_YET_VALID/i.test(reason);
    this.stage = stage;
    this.reason = reason;
  }
}

/** Will waiting mend it, for all that is known: a certificate that is not valid yet or any more, of one broker or of several? */
export function isOutOfTime(error: unknown): boolean {
  return error instanceof ConnectionError ? error.outOfTime : error instanceof Error && isOutOfTime(error.cause);
}

/** Names, by `code` of the error, for what the operating system or a TLS library says. */
const socketReasons: Record<string, string> = {
  ECONNREFUSED: "connection refused (nothing listens there)",
  ENOTFOUND: "host name not found",
  EAI_AGAIN: "host name could not be looked up (name server did not answer)",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed by the broker",
  EMFILE: "no file descriptor is free for a connection (EMFILE); raise the limit (ulimit -n, LimitNOFILE)",
  ENFILE: "the system has no free file descriptor for a connection (ENFILE)",
};

const tlsCode =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|ERR_BORINGSSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;
const tlsText = /certificate|self.signed|altname|wrong version number|ssl|tls/i;

/** The runtime says "refused" as well where no socket could be made: then nothing else can be opened either. */
function lacksDescriptors(code: string): boolean {
  if (code !== "ECONNREFUSED") return false;
  try {
    closeSync(openSync("/dev/null", "r"));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EMFILE";
  }
}

/** Which layers a connection was told to use, and whether it had no answer since its handshake. */
interface Security {
  tls: boolean;
  sasl: string | null;
  silent?: boolean;
}

/** Wraps anything that a connection failed with. `security` says which layers the connection was told to use. */
export function classifyConnectionError(
  error: unknown,
  broker: string,
  stage: ConnectionStage,
  security: Security,
): ConnectionError {
  if (error instanceof ConnectionError) return error;
  // Ours already, for example of the OAuth token's endpoint: it knows best who can mend it.
  if (error instanceof LogagentError) return new ConnectionError(error.code, broker, stage, error.message, error);
  const { name = "", code = "", type = "", message = "" } = error as Record<string, string | undefined>;
  const text = message.replace(/^Connection error: /, "");
  if (name === "KafkaJSSASLAuthenticationError" || /^(SASL_AUTH|UNSUPPORTED_SASL|ILLEGAL_SASL)/.test(type)) {
    const illegal = type === "ILLEGAL_SASL_STATE" ? " (the listener may not use SASL)" : "";
    return new ConnectionError("AUTHENTICATION", broker, stage, text.replace(/\s+/g, " ") + illegal, error);
  }
  const reason = socketReasons[lacksDescriptors(code) ? "EMFILE" : code] ?? (text || code || "connection failed");
  if (security.tls && stage !== "open" && (tlsCode.test(code) || (!socketReasons[code] && tlsText.test(text)))) {
    return new ConnectionError("CONFIG", broker, stage, `TLS: ${tlsReason(code, text)}`, error);
  }
  return new ConnectionError("BROKER_UNAVAILABLE", broker, stage, reason + hint(stage, code, security), error);
}

/** OpenSSL's and BoringSSL's texts with what they mean for a Kafka listener. */
function tlsReason(code: string, text: string): string {
  const said = text || code;
  if (/wrong.version.number|packet length too long|unknown protocol/i.test(said + code)) {
    return `${said} (the listener does not speak TLS)`;
  }
  if (/alert|required/i.test(said) && /certificate/i.test(said)) return `${said} (the broker refused our certificate)`;
  if (/EXPIRED|NOT_YET_VALID/.test(code)) return `${said} (the clock of this machine says ${new Date().toISOString()})`;
  if (/UNABLE_TO|SELF_SIGNED|DEPTH_ZERO/.test(code))
    return `${said} (the broker's certificate is not from a known CA; see --tls-ca)`;
  return said;
}

/** What a listener that hangs up without a word most likely wanted. */
function hint(stage: ConnectionStage, code: string, security: Security): string {
  if (code !== "" && code !== "ECONNRESET" && code !== "EPIPE") return "";
  if (stage === "connecting" && security.tls) return "; the listener may not speak TLS";
  if (stage === "handshake" && !security.tls) return "; the listener may need TLS";
  // A TLS socket counts as connecting until its handshake is done.
  if (stage === "connecting" && code === "ECONNRESET" && security.tls) return "; the listener may not speak TLS";
  if (stage === "handshake" && security.tls)
    return "; the listener may not speak TLS or may require a client certificate";
  // A listener with SASL tells its versions and then hears nothing but SASL.
  const unheard = stage === "authenticating" || (stage === "open" && security.silent);
  if (unheard && security.sasl === null) return "; the listener may require SASL (--sasl-mechanism)";
  return "";
}
