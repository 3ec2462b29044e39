/**
 * What the rest of `src/kafka` needs of a cluster: one connection path per broker, metadata, leaders, coordinators and
 * one way to send a request. Built on kafkajs's connections (TLS, SASL, version negotiation, throttling).
 */
import type { Reader, Writer } from "../protocol/wire.ts";

export interface TlsOptions {
  /** PEM texts. */
  ca?: string;
  cert?: string;
  key?: string;
  /** Accept any certificate and host name. */
  insecure?: boolean;
}

export type SaslOptions =
  | { mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; username: string; password: string }
  | { mechanism: "oauthbearer"; token: () => Promise<string> };

export interface ClientOptions {
  /** `host:port` each. */
  brokers: readonly string[];
  clientId: string;
  tls?: TlsOptions;
  sasl?: SaslOptions;
  /** Milliseconds; default 10 000. */
  connectTimeout?: number;
  /** Milliseconds; default 30 000. */
  requestTimeout?: number;
}

/** One request of the protocol: https://kafka.apache.org/protocol.html#protocol_api_keys */
export interface ApiRequest<T> {
  name: string;
  key: number;
  version: number;
  /**
   * The same request for a broker that speaks nothing later than version `latest`, which is below `version`; null where
   * that is too old. Without it `version` alone will do.
   */
  older?: (latest: number) => ApiRequest<T> | null;
  /** The first release of Kafka that will do, for the message to the user of an older one. */
  since?: string;
  /** Request header v2 and response header v1 (KIP-482); the client writes and skips their tagged fields. */
  flexible?: boolean;
  /** The body, or a function that writes it. A given buffer is sent as it is, without a copy where possible. */
  body: Buffer | ((writer: Writer) => void);
  /** The first bytes of a given buffer are free: the client writes its header there, so that one write sends all. */
  headroom?: number;
  /** What it returns holds no views of the response unless there is `receiveInto`. */
  parse: (reader: Reader) => T;
  /** Of an answer: milliseconds for which the broker hears nothing more on this connection (KIP-219). */
  throttle?(answer: T): number;
  /** Where the response is put and stays: a buffer of at least so many bytes. */
  receiveInto?: (bytes: number) => Buffer;
  /** False for Produce with acks=0: resolves with undefined when the socket took the bytes. Default true. */
  expectResponse?: boolean;
  /** Which of several connections to the node; default "", the one for everything that does not say. */
  lane?: string;
  /** Milliseconds, over the client's default. A connection whose request timed out is closed. */
  timeout?: number;
}

export interface PartitionMetadata {
  partition: number;
  /** Node id; -1 while there is none. */
  leader: number;
  leaderEpoch: number;
  replicas: number[];
  isr: number[];
  offline: number[];
}

export interface TopicMetadata {
  name: string;
  /** 16 bytes, hex; null where the broker has none. */
  topicId: string | null;
  /** Code of `errors.ts`; 0 is none. */
  errorCode: number;
  isInternal: boolean;
  partitions: PartitionMetadata[];
}

export interface ClusterMetadata {
  clusterId: string | null;
  controllerId: number;
  brokers: { nodeId: number; host: string; port: number; rack: string | null }[];
  topics: TopicMetadata[];
}

export interface KafkaClient {
  /**
   * Connects to the first bootstrap broker that answers. One try over all of them: throws LogagentError
   * (BROKER_UNAVAILABLE, AUTHENTICATION, CONFIG for TLS trouble) naming the action, the brokers and what each said.
   */
  connect(): Promise<void>;
  /** Fresh metadata of these topics (null: all), never creating any; also remembered for `leaderOf`. */
  metadata(topics: readonly string[] | null): Promise<ClusterMetadata>;
  /** Node id of the remembered leader; undefined when not known or none. */
  leaderOf(topic: string, partition: number): number | undefined;
  /** The remembered id of the topic, 16 bytes as hex; null when not known or none (before Kafka 2.8). */
  topicIdOf(topic: string): string | null;
  /** Node id of the coordinator (FindCoordinator), remembered until `forgetCoordinator`. */
  coordinatorOf(kind: "group" | "transaction", key: string): Promise<number>;
  forgetCoordinator(kind: "group" | "transaction", key: string): void;
  /**
   * Sends to one node (or "any" connected one, or the "controller"), connecting first if needed. Requests to one node are
   * written in the order of the calls. Rejects with the connection's error; error codes inside responses are the caller's.
   */
  send<T>(node: number | "any" | "controller", request: ApiRequest<T>): Promise<T>;
  close(): Promise<void>;
}
