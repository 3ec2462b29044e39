/**
 * One connection to one broker, from the TCP handshake to its end. Frames requests itself, so that a large body goes to
 * the socket without a copy; kafkajs does sockets, SASL, response framing and throttling. A connection on which anything
 * timed out or failed is over: all its requests are rejected and a new object takes its place.
 */
import net from "node:net";
import tls from "node:tls";
import type { Log } from "../observe/log.ts";
import type { ApiRequest, ClientOptions } from "./client.ts";
import { ConnectionError, type ConnectionStage, classifyConnectionError } from "./connection-error.ts";
import { KafkaError } from "./errors.ts";
import { type KafkajsConnection, type KafkajsSocketOptions, kafkajsLogger, newConnection } from "./kafkajs.ts";
import { Reader, Writer } from "./wire.ts";

const SASL_AUTHENTICATE = 36;

export interface VersionRange {
  minVersion: number;
  maxVersion: number;
}

interface InFlight {
  deadline: number;
  reject: (error: Error) => void;
}

export class Connection {
  readonly broker: string;
  /** Which versions of which API (by key) the broker speaks; filled by `open`. */
  versions: Record<number, VersionRange> = {};
  /** Set once the connection is over. */
  closed: ConnectionError | null = null;
  private readonly inner: KafkajsConnection;
  private readonly options: ClientOptions;
  private readonly clientId: Buffer;
  private readonly onClose: (error: ConnectionError) => void;
  private readonly inFlight = new Set<InFlight>();
  private stage: ConnectionStage = "connecting";
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    host: string,
    port: number,
    options: ClientOptions,
    log: Log,
    onClose: (error: ConnectionError) => void = () => {},
  ) {
    this.broker = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.options = options;
    this.onClose = onClose;
    this.clientId = Buffer.from(options.clientId);
    this.inner = newConnection({
      host,
      port,
      clientId: options.clientId,
      logger: kafkajsLogger(log),
      socketFactory,
      connectionTimeout: options.connectTimeout ?? 10_000,
      requestTimeout: options.requestTimeout ?? 30_000,
      enforceRequestTimeout: false,
      ssl: options.tls ? tlsOptions(options.tls) : null,
      sasl: options.sasl ? saslOptions(options.sasl) : null,
    });
  }

  /** TCP, TLS, ApiVersions, SASL within `connectTimeout`. Throws ConnectionError; the object is of no more use then. */
  async open(): Promise<void> {
    const limit = this.options.connectTimeout ?? 10_000;
    const timer = setTimeout(() => this.fail(this.error("BROKER_UNAVAILABLE", `no answer within ${limit} ms`)), limit);
    try {
      await this.handshake();
    } catch (error) {
      this.fail(this.classify(error));
      throw this.closed ?? error;
    } finally {
      clearTimeout(timer);
    }
  }

  private async handshake(): Promise<void> {
    const connected = this.inner.connect();
    // kafkajs never settles its promise when the peer hangs up early.
    const ended = new Promise<never>((_, reject) => {
      this.inner.socket.once("close", () => {
        this.fail(this.classify({ message: "connection closed by the broker", code: "" }));
        reject(this.closed);
      });
    });
    ended.catch(() => {});
    await Promise.race([connected, ended]);
    this.stage = "handshake";
    this.versions = await Promise.race([this.request(apiVersions), ended]);
    this.stage = "authenticating";
    this.inner.setVersions(this.versions);
    this.inner.setSupportAuthenticationProtocol(SASL_AUTHENTICATE in this.versions);
    if (this.options.sasl) await Promise.race([this.inner.authenticate(), ended]);
    if (this.closed) throw this.closed;
  }

  /** False when the SASL session (KIP-368) is about to end: `reauthenticate` before the next request. */
  get authenticated(): boolean {
    return !this.options.sasl || this.inner.isAuthenticated();
  }

  /** Nothing else may be written until it resolves. */
  async reauthenticate(): Promise<void> {
    const limit = this.options.connectTimeout ?? 10_000;
    const timer = setTimeout(
      () => this.fail(this.error("BROKER_UNAVAILABLE", `no answer to SASL within ${limit} ms`)),
      limit,
    );
    try {
      await this.inner.authenticate();
    } catch (error) {
      this.fail(this.classify(error));
    } finally {
      clearTimeout(timer);
    }
    if (this.closed) throw this.closed;
  }

  /** Bytes handed to the socket that the operating system has not taken yet. */
  get unwritten(): number {
    return this.inner.socket?.writableLength ?? 0;
  }

  /** Writes the request at once. Rejects with the connection's error, or with what `parse` throws. */
  request<T>(request: ApiRequest<T>): Promise<T> {
    if (this.closed) return Promise.reject(this.closed);
    const range = this.versions[request.key];
    if (range && (request.version < range.minVersion || request.version > range.maxVersion)) {
      return Promise.reject(
        this.error(
          "BROKER_REFUSED",
          `${request.name} version ${request.version} is needed, the broker speaks ${range.minVersion} to ${range.maxVersion}`,
        ),
      );
    }
    return new Promise<T>((resolve, reject) => {
      const expectResponse = request.expectResponse !== false;
      const entry: InFlight = {
        deadline: performance.now() + (request.timeout ?? this.options.requestTimeout ?? 30_000),
        reject,
      };
      this.inFlight.add(entry);
      this.watch(entry.deadline);
      const done = () => this.inFlight.delete(entry);
      const correlationId = this.inner.nextCorrelationId();
      this.inner.requestQueue.push({
        entry: {
          apiKey: request.key,
          apiName: request.name,
          apiVersion: request.version,
          correlationId,
          resolve: ({ payload }) => {
            if (!expectResponse) return;
            done();
            try {
              const reader = new Reader(payload);
              if (request.flexible) reader.skipTags();
              resolve(request.parse(reader));
            } catch (error) {
              reject(error);
            }
          },
          reject: (error) => {
            done();
            reject(this.closed ?? this.classify(error));
          },
        },
        expectResponse,
        requestTimeout: null,
        sendRequest: () => {
          this.write(request, correlationId, (error) => {
            if (expectResponse) return;
            done();
            if (error) reject(this.classify(error));
            else resolve(undefined as T);
          });
        },
      });
    });
  }

  /** Request header v1, or v2 when flexible: https://kafka.apache.org/protocol.html#protocol_messages */
  private write<T>(request: ApiRequest<T>, correlationId: number, written: (error?: Error | null) => void): void {
    const { socket } = this.inner;
    const { body } = request;
    const headerBytes = 4 + 10 + this.clientId.length + (request.flexible ? 1 : 0);
    if (typeof body === "function") {
      const writer = new Writer(512).int32(0);
      this.header(writer, request, correlationId);
      body(writer);
      const frame = writer.finish();
      frame.writeInt32BE(frame.length - 4, 0);
      socket.write(frame, written);
      return;
    }
    const headroom = request.headroom ?? 0;
    if (headroom >= headerBytes && !request.flexible) {
      const at = headroom - headerBytes;
      body.writeInt32BE(body.length - at - 4, at);
      body.writeInt16BE(request.key, at + 4);
      body.writeInt16BE(request.version, at + 6);
      body.writeInt32BE(correlationId, at + 8);
      body.writeInt16BE(this.clientId.length, at + 12);
      body.set(this.clientId, at + 14);
      socket.write(at === 0 ? body : body.subarray(at), written);
      return;
    }
    const header = this.header(
      new Writer(headerBytes).int32(headerBytes - 4 + body.length - headroom),
      request,
      correlationId,
    ).finish();
    socket.cork();
    socket.write(header);
    socket.write(headroom > 0 ? body.subarray(headroom) : body, written);
    socket.uncork();
  }

  private header<T>(writer: Writer, request: ApiRequest<T>, correlationId: number): Writer {
    writer.int16(request.key).int16(request.version).int32(correlationId);
    writer.int16(this.clientId.length).raw(this.clientId);
    return request.flexible ? writer.noTags() : writer;
  }

  /** One timer for all requests, armed for the earliest deadline and only while something is under way. */
  private watch(deadline: number): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        const now = performance.now();
        let next = Number.POSITIVE_INFINITY;
        for (const entry of this.inFlight) next = Math.min(next, entry.deadline);
        if (next <= now) this.fail(this.error("BROKER_UNAVAILABLE", "a request timed out, connection closed"));
        else if (next < Number.POSITIVE_INFINITY) this.watch(next);
      },
      // A shorter deadline may come while the timer runs: look at least every second.
      Math.max(1, Math.min(deadline - performance.now() + 1, 1000)),
    );
    this.timer.unref?.();
  }

  /** Sends nothing for a while, as the broker asked (KIP-219). */
  throttle(milliseconds: number): void {
    this.inner.requestQueue.maybeThrottle(milliseconds);
  }

  close(): void {
    this.fail(this.error("BROKER_UNAVAILABLE", "connection closed by this program"));
  }

  private fail(error: ConnectionError): void {
    if (this.closed) return;
    this.closed = error;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.inner.requestQueue.destroy();
    this.inner.rejectRequests(error);
    for (const entry of [...this.inFlight]) entry.reject(error);
    this.inFlight.clear();
    // While connecting only an error makes kafkajs end its connect timer, which would hold the process.
    if (this.stage === "connecting") this.inner.socket?.destroy(error);
    else this.inner.socket?.destroy();
    this.onClose(error);
  }

  private error(code: ConnectionError["code"], reason: string): ConnectionError {
    return new ConnectionError(code, this.broker, this.stage, reason);
  }

  private classify(error: unknown): ConnectionError {
    return classifyConnectionError(error, this.broker, this.stage, {
      tls: this.options.tls !== undefined,
      sasl: this.options.sasl?.mechanism ?? null,
    });
  }

  /** The handshake is complete and a first request was answered: later ends are those of an open connection. */
  markOpen(): void {
    this.stage = "open";
  }
}

/** Version 2 is the last before the flexible header, which brokers refuse in another way. */
const apiVersions: ApiRequest<Record<number, VersionRange>> = {
  name: "ApiVersions",
  key: 18,
  version: 2,
  body: () => {},
  parse(reader) {
    const code = reader.int16();
    if (code !== 0) throw new KafkaError(code, "asking for the broker's API versions");
    const versions: Record<number, VersionRange> = {};
    reader.array(() => {
      const key = reader.int16();
      versions[key] = { minVersion: reader.int16(), maxVersion: reader.int16() };
    });
    return versions;
  },
};

function socketFactory({ host, port, ssl, onConnect }: KafkajsSocketOptions): net.Socket {
  const socket = ssl
    ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : net.connect({ host, port }, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 30_000);
  return socket;
}

function tlsOptions(options: NonNullable<ClientOptions["tls"]>): Record<string, unknown> {
  return {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    rejectUnauthorized: !options.insecure,
    ...(options.insecure ? { checkServerIdentity: () => undefined } : {}),
  };
}

function saslOptions(options: NonNullable<ClientOptions["sasl"]>) {
  if (options.mechanism === "oauthbearer") {
    return { mechanism: "oauthbearer", oauthBearerProvider: async () => ({ value: await options.token() }) };
  }
  return { mechanism: options.mechanism, username: options.username, password: options.password };
}
