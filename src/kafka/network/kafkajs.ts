/**
 * Everything of kafkajs that this program uses, declared and checked in one place. These are internals, so exactly one
 * version fits: another version or shape ends with a clear error before the first connection.
 *
 * kafkajs gives: connecting (`Connection.connect`), SASL with re-authentication (`authenticate`) and the requests under way
 * (`RequestQueue`). What goes to the socket and comes from it is framed by `connection.ts`.
 */
import type { Socket } from "node:net";
import packageJson from "kafkajs/package.json" with { type: "json" };
// biome-ignore lint/suspicious/noTsIgnore: Deno infers the types of these modules, tsc has none.
// @ts-ignore kafkajs has no types for its internals.
import untypedScram from "kafkajs/src/broker/saslAuthenticator/scram.js";
// biome-ignore lint/suspicious/noTsIgnore: Deno infers the types of these modules, tsc has none.
// @ts-ignore kafkajs has no types for its internals.
import untypedLoggers from "kafkajs/src/loggers/index.js";
// biome-ignore lint/suspicious/noTsIgnore: Deno infers the types of these modules, tsc has none.
// @ts-ignore kafkajs has no types for its internals.
import untypedConnection from "kafkajs/src/network/connection.js";
// biome-ignore lint/suspicious/noTsIgnore: Deno infers the types of these modules, tsc has none.
// @ts-ignore kafkajs has no types for its internals.
import untypedRequestQueue from "kafkajs/src/network/requestQueue/index.js";
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { codes } from "../protocol/errors.ts";
import { limits } from "../protocol/limits.ts";

const requiredVersion = "2.2.4";

export interface KafkajsSocketOptions {
  host: string;
  port: number;
  ssl: Record<string, unknown> | null;
  onConnect: () => void;
}

export interface KafkajsSasl {
  mechanism: string;
  username?: string;
  password?: string;
  oauthBearerProvider?: () => Promise<{ value: string }>;
}

export interface KafkajsConnectionOptions {
  host: string;
  port: number;
  clientId: string;
  logger: unknown;
  socketFactory: (options: KafkajsSocketOptions) => Socket;
  /** Milliseconds. */
  connectionTimeout: number;
  requestTimeout: number;
  /** False: kafkajs runs no interval of its own; `connection.ts` watches the deadlines. */
  enforceRequestTimeout: false;
  ssl: Record<string, unknown> | null;
  sasl: KafkajsSasl | null;
}

interface KafkajsRequestQueue {
  push(request: {
    entry: {
      apiKey: number;
      apiName: string;
      apiVersion: number;
      correlationId: number;
      resolve: (response: { payload: Buffer }) => void;
      reject: (error: Error) => void;
    };
    expectResponse: boolean;
    requestTimeout: number | null;
    sendRequest: () => void;
  }): void;
  /** By correlation id, those of SASL too. */
  inflight: ReadonlyMap<number, unknown>;
  fulfillRequest(response: { correlationId: number; payload: Buffer; size: number }): void;
  destroy(): void;
}

interface KafkajsRequest {
  request: { apiKey: number };
  response: { decode: (bytes: Buffer) => Promise<unknown>; parse: (answer: Mechanisms) => Promise<unknown> };
}

interface Mechanisms {
  errorCode: number;
  enabledMechanisms: string[];
}

const SASL_HANDSHAKE = 17;

/** kafkajs forgets the mechanisms that the broker lists when it refuses ours. */
function listed({ request, response }: KafkajsRequest): KafkajsRequest {
  const parse = async (answer: Mechanisms) => {
    if (answer.errorCode !== codes.UNSUPPORTED_SASL_MECHANISM) return response.parse(answer);
    const offered = answer.enabledMechanisms.join(", ");
    const text = `the listener does not take this --sasl-mechanism; it offers ${offered || "none"}`;
    throw Object.assign(new Error(text), { type: "UNSUPPORTED_SASL_MECHANISM" });
  };
  return { request, response: { ...response, parse } };
}

export interface KafkajsConnection {
  socket: Socket;
  connect(): Promise<true>;
  authenticate(): Promise<void>;
  isAuthenticated(): boolean;
  /** Milliseconds, set by `authenticate`; "0" is without end. */
  sessionLifetime: { toString(): string };
  /** Milliseconds before the session's end from which `isAuthenticated` is false. */
  reauthenticationThreshold: number;
  setVersions(versions: Record<number, { minVersion: number; maxVersion: number }>): void;
  setSupportAuthenticationProtocol(supported: boolean): void;
  nextCorrelationId(): number;
  rejectRequests(error: Error): void;
  requestQueue: KafkajsRequestQueue;
  send(request: KafkajsRequest): Promise<unknown>;
  /** Called with what the socket receives. */
  processData(chunk: Buffer): void;
  /** Set while a SASL token without a frame of its own is waited for, as brokers before Kafka 1.0 want it. */
  authHandlers: unknown;
}

const Connection = untypedConnection as unknown as new (options: KafkajsConnectionOptions) => KafkajsConnection;
const RequestQueue = untypedRequestQueue as unknown as {
  prototype: { pending: unknown[]; scheduleCheckPendingRequests: (this: { pending: unknown[] }) => void };
};
const loggers = untypedLoggers as unknown as {
  LEVELS: Record<string, number>;
  createLogger(options: { level: number | undefined; logCreator: () => (entry: KafkajsLogEntry) => void }): unknown;
};

const scram = (untypedScram as unknown as { SCRAM: { hi: SaltPassword } }).SCRAM;
type SaltPassword = (password: string, salt: unknown, iterations: number, digest: unknown) => Promise<Buffer>;

interface KafkajsLogEntry {
  namespace: string;
  log: { message: string; broker?: string };
}

/** Throws unless the installed kafkajs is the version and has the shape this program was written for. */
export function checkKafkajs(version: string = packageJson.version): void {
  if (version !== requiredVersion) throw wrong(`version ${version} is installed`);
  const methods = (of: unknown) => (of as { prototype?: Record<string, unknown> }).prototype ?? {};
  for (const name of [
    "connect",
    "authenticate",
    "isAuthenticated",
    "setVersions",
    "setSupportAuthenticationProtocol",
    "nextCorrelationId",
    "rejectRequests",
    "processData",
  ]) {
    if (typeof methods(Connection)[name] !== "function") throw wrong(`Connection.${name} is missing`);
  }
  for (const name of ["push", "destroy", "fulfillRequest", "scheduleCheckPendingRequests"]) {
    if (typeof methods(RequestQueue)[name] !== "function") throw wrong(`RequestQueue.${name} is missing`);
  }
  if (typeof scram?.hi !== "function") throw wrong("SCRAM.hi is missing");
  if (typeof loggers.createLogger !== "function") throw wrong("createLogger is missing");
}

function wrong(what: string): LogagentError {
  return new LogagentError(
    "BUG",
    `using kafkajs: this program needs kafkajs ${requiredVersion} unchanged, but ${what}`,
  );
}

/**
 * A connection that is not connected yet. Each object is used for one connection only. `receive` gets what the socket
 * receives, instead of kafkajs's own framing, which gathers each response in fresh memory; the bytes may be overwritten
 * afterwards.
 */
export function newConnection(options: KafkajsConnectionOptions, receive: (chunk: Buffer) => void): KafkajsConnection {
  prepare();
  const connection = new Connection(options);
  if (!(connection.requestQueue?.inflight instanceof Map)) throw wrong("RequestQueue.inflight is missing");
  const { processData, send } = connection;
  connection.send = (request) =>
    send.call(connection, request.request.apiKey === SASL_HANDSHAKE ? listed(request) : request);
  connection.processData = (chunk) => {
    if (connection.authHandlers) processData.call(connection, Buffer.from(chunk));
    else receive(chunk);
  };
  return connection;
}

/** kafkajs's logger with everything sent to ours at debug; texts of requests are left out. */
export function kafkajsLogger(log: Log): unknown {
  return loggers.createLogger({
    level: loggers.LEVELS.WARN,
    logCreator: () => (entry) => log.debug(`kafkajs: ${entry.log.message}`, { broker: entry.log.broker }),
  });
}

let prepared = false;

function prepare(): void {
  if (prepared) return;
  checkKafkajs();
  // Every response arms a 1 ms timer that finds nothing to do (kafkajs#1751).
  const prototype = RequestQueue.prototype;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this);
  };
  const { hi } = scram;
  scram.hi = (password, salt, iterations, digest) => {
    if (iterations <= limits.scramIterations) return hi(password, salt, iterations, digest);
    const rule = `the broker asks for ${iterations} iterations, at most ${limits.scramIterations} are done`;
    return Promise.reject(new Error(rule));
  };
  prepared = true;
}
