/**
 * What the rest of `src/kafka` needs of a cluster: one connection path per broker, metadata, leaders, coordinators and
 * one way to send a request. Built on kafkajs's connections (TLS, SASL, version negotiation, throttling).
 */
import type { ClusterMetadata } from "../protocol/metadata.ts";
import type { ApiRequest } from "../protocol/request.ts";

export type { ClientOptions, SaslOptions, TlsOptions } from "../network/options.ts";
export type { ClusterMetadata, PartitionMetadata, TopicMetadata } from "../protocol/metadata.ts";
export type { ApiRequest } from "../protocol/request.ts";

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
