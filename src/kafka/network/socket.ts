/** Sockets and credentials for a broker, in the form kafkajs takes them. */
import net from "node:net";
import tls from "node:tls";
import type { KafkajsSasl, KafkajsSocketOptions } from "./kafkajs.ts";
import type { SaslOptions, TlsOptions } from "./options.ts";

/** What plain sockets receive is put here and used up before the next comes; fresh memory for each piece costs more. */
const received = Buffer.allocUnsafeSlow(128 << 10);

/**
 * A TCP or TLS socket that is being connected; `onConnect` is called when TLS is up, too. What arrives comes by `receive`,
 * and is overwritten afterwards, or as "data" events (TLS).
 */
export function openSocket(options: KafkajsSocketOptions, receive: (chunk: Buffer) => void): net.Socket {
  const { host, port, ssl, onConnect } = options;
  const onread = {
    buffer: received,
    callback(length: number, buffer: Uint8Array) {
      receive(buffer.subarray(0, length) as Buffer);
      return true;
    },
  };
  const socket = ssl
    ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : net.connect({ host, port, onread }, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  return socket;
}

/** Options of `tls.connect`. */
export function tlsOptions(options: TlsOptions): Record<string, unknown> {
  return {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    rejectUnauthorized: !options.insecure,
    ...(options.insecure ? { checkServerIdentity: () => undefined } : {}),
  };
}

export function saslOptions(options: SaslOptions): KafkajsSasl {
  if (options.mechanism === "oauthbearer") {
    return { mechanism: "oauthbearer", oauthBearerProvider: async () => ({ value: await options.token() }) };
  }
  return { mechanism: options.mechanism, username: options.username, password: options.password };
}
