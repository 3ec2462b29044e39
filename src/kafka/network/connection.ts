/**
 * One connection to one broker, from the TCP handshake to its end. Requests and responses are framed here, so that large
 * ones are not copied; kafkajs connects and authenticates. A connection on which anything timed out or failed is over: all
 * its requests are rejected and a new object takes its place.
 */
import { LogagentError, messageOf } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { type ApiVersions, apiVersions, notOffered, notSpoken } from "../protocol/api-versions.ts";
import { KafkaError } from "../protocol/errors.ts";
import { limits } from "../protocol/limits.ts";
import type { ApiRequest } from "../protocol/request.ts";
import { Reader } from "../protocol/wire.ts";
import { ConnectionError, type ConnectionStage, classifyConnectionError } from "./connection-error.ts";
import { type KafkajsConnection, kafkajsLogger, newConnection } from "./kafkajs.ts";
import type { ClientOptions } from "./options.ts";
import { writeRequest } from "./request-frame.ts";
import { FrameError, ResponseFramer } from "./response-frames.ts";
import { openSocket, saslOptions, tlsOptions } from "./socket.ts";

const SASL_AUTHENTICATE = 36;

/** A parser says what the broker said; everything else that it throws is about bytes that make no sense. */
const isAnswer = (error: unknown) => error instanceof KafkaError || error instanceof LogagentError;

interface InFlight {
  deadline: number;
  receiveInto: ((bytes: number) => Buffer) | undefined;
  reject: (error: Error) => void;
}

export class Connection {
  readonly broker: string;
  /** What the broker speaks; filled by `open`. */
  versions: ApiVersions = {};
  /** Set once the connection is over. */
  closed: ConnectionError | null = null;
  private readonly inner: KafkajsConnection;
  private readonly options: ClientOptions;
  private readonly clientId: Buffer;
  private readonly onClose: (error: ConnectionError) => void;
  /** By correlation id; kafkajs keeps its own requests (SASL) to itself. */
  private readonly inFlight = new Map<number, InFlight>();
  private readonly framer: ResponseFramer;
  private stage: ConnectionStage = "connecting";
  /** Nothing was answered since the handshake. */
  private silent = true;
  /** The broker throttles us: it reads nothing from here before this time (`performance.now()`). */
  private deafUntil = 0;
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
    this.inner = newConnection(
      {
        host,
        port,
        clientId: options.clientId,
        logger: kafkajsLogger(log),
        socketFactory: (socketOptions) => openSocket(socketOptions, (chunk) => this.inner.processData(chunk)),
        connectionTimeout: options.connectTimeout ?? 10_000,
        requestTimeout: options.requestTimeout ?? 30_000,
        enforceRequestTimeout: false,
        ssl: options.tls ? tlsOptions(options.tls) : null,
        sasl: options.sasl ? saslOptions(options.sasl) : null,
      },
      (chunk) => this.receive(chunk),
    );
    const { requestQueue } = this.inner;
    this.framer = new ResponseFramer({
      keeps: (correlationId) => this.inFlight.get(correlationId)?.receiveInto !== undefined,
      allocate: (correlationId, bytes) => {
        this.expected(correlationId);
        const receiveInto = this.inFlight.get(correlationId)?.receiveInto;
        if (receiveInto) return receiveInto(bytes);
        if (bytes <= limits.answerBytes) return Buffer.allocUnsafeSlow(bytes);
        throw new FrameError(`an answer of ${bytes} bytes was announced, of which only a fetch may have so many`);
      },
      received: (correlationId, payload) => {
        this.expected(correlationId);
        requestQueue.fulfillRequest({ correlationId, payload, size: payload.length });
      },
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
    if (this.options.sasl) await Promise.race([this.authenticate(), ended]);
    if (this.closed) throw this.closed;
  }

  /** Again at 85 % of the session, as Java's clients at the earliest; a broker refuses it within a second (KIP-368). */
  private async authenticate(): Promise<void> {
    await this.inner.authenticate();
    this.inner.reauthenticationThreshold = Math.floor(0.15 * Number(this.inner.sessionLifetime.toString()));
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
      await this.authenticate();
    } catch (error) {
      this.fail(this.classify(error));
    } finally {
      clearTimeout(timer);
    }
    if (this.closed) throw this.closed;
  }

  /** Writes the request at once. Rejects with the connection's error, or with what `parse` throws. */
  request<T>(request: ApiRequest<T>): Promise<T> {
    if (this.closed) return Promise.reject(this.closed);
    const range = this.versions[request.key];
    if (!range && request.key !== apiVersions.key) {
      return Promise.reject(this.error("BROKER_REFUSED", notOffered(request)));
    }
    if (range && (request.version < range.minVersion || request.version > range.maxVersion)) {
      const older = request.version > range.maxVersion ? request.older?.(range.maxVersion) : null;
      if (older) return this.request({ ...request, ...older });
      return Promise.reject(this.error("BROKER_REFUSED", notSpoken(request, range)));
    }
    return new Promise<T>((resolve, reject) => {
      const expectResponse = request.expectResponse !== false;
      const deadline =
        Math.max(performance.now(), this.deafUntil) + (request.timeout ?? this.options.requestTimeout ?? 30_000);
      const correlationId = this.inner.nextCorrelationId();
      this.inFlight.set(correlationId, { deadline, receiveInto: request.receiveInto, reject });
      this.watch(deadline);
      const done = () => this.inFlight.delete(correlationId);
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
              const answer = request.parse(reader);
              this.throttled(request.throttle?.(answer) ?? 0);
              if (this.stage === "open") this.silent = false;
              resolve(answer);
            } catch (error) {
              if (!isAnswer(error)) this.malformed(request, error);
              reject(isAnswer(error) ? error : (this.closed ?? error));
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
          writeRequest(this.inner.socket, request, correlationId, this.clientId, (error) => {
            if (expectResponse) return;
            done();
            if (error) reject(this.classify(error));
            else resolve(undefined as T);
          });
        },
      });
    });
  }

  private receive(chunk: Buffer): void {
    if (this.closed) return;
    try {
      this.framer.push(chunk);
    } catch (error) {
      if (error instanceof FrameError) this.fail(this.classify(error));
      else this.fail(this.error("BROKER_UNAVAILABLE", `a malformed answer, connection closed: ${messageOf(error)}`));
    }
  }

  /** Nothing that comes behind such an answer can be trusted. */
  private malformed({ name, version }: ApiRequest<unknown>, error: unknown): void {
    const reason = `a malformed answer to ${name} version ${version}, connection closed: ${messageOf(error)}`;
    this.fail(new ConnectionError("BROKER_UNAVAILABLE", this.broker, this.stage, reason, error));
  }

  private expected(correlationId: number): void {
    if (this.inner.requestQueue.inflight.has(correlationId)) return;
    throw new FrameError(`a response came for request ${correlationId}, which is not under way: bytes were lost`);
  }

  /** What is under way is answered that much later (milliseconds). Whoever sends keeps the silence. */
  private throttled(milliseconds: number): void {
    if (milliseconds <= 0) return;
    this.deafUntil = performance.now() + milliseconds;
    for (const entry of this.inFlight.values()) entry.deadline += milliseconds;
  }

  /** One timer for all requests, armed for the earliest deadline and only while something is under way. */
  private watch(deadline: number): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(
      () => {
        this.timer = null;
        const now = performance.now();
        let next = Number.POSITIVE_INFINITY;
        for (const entry of this.inFlight.values()) next = Math.min(next, entry.deadline);
        if (next <= now) this.fail(this.error("BROKER_UNAVAILABLE", "a request timed out, connection closed"));
        else if (next < Number.POSITIVE_INFINITY) this.watch(next);
      },
      // A shorter deadline may come while the timer runs: look at least every second.
      Math.max(1, Math.min(deadline - performance.now() + 1, 1000)),
    );
    this.timer.unref?.();
  }

  close(): void {
    this.fail(this.error("BROKER_UNAVAILABLE", "connection closed by this program"));
  }

  private fail(error: ConnectionError): void {
    if (this.closed) return;
    this.closed = error;
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.framer.stop();
    this.inner.requestQueue.destroy();
    this.inner.rejectRequests(error);
    for (const entry of [...this.inFlight.values()]) entry.reject(error);
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
      silent: this.silent,
    });
  }

  /** The handshake is complete and a first request was answered: later ends are those of an open connection. */
  markOpen(): void {
    this.stage = "open";
  }
}
