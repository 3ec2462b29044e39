/** The resolved configuration: flags > environment > file > defaults, everything present, nothing left to interpret. */
import type { ClientOptions } from "../kafka/cluster/client.ts";
import type { ProducerConfig } from "../kafka/producer/config.ts";
import type { Header, Partitioner } from "../kafka/producer/sink.ts";
import type { TailOptions } from "../tail/types.ts";

export type { Acks, Compression, ProducerConfig } from "../kafka/producer/config.ts";

export type Delivery = "at-least-once" | "exactly-once";

export interface InputConfig {
  name: string;
  topic: string;
  partitioner: Partitioner;
  /** Templates: `{input} {path} {file} {host} {offset} {line_number}`; null is a null key. */
  key: string | null;
  headers: readonly { name: Header["key"]; value: string }[];
  format: "raw" | "json";
  createTopic: { partitions: number; replication: number } | null;
  tail: TailOptions;
}

export interface AgentConfig {
  connection: ClientOptions;
  producer: ProducerConfig;
  delivery: Delivery;
  /** Bytes and milliseconds after which a transaction is committed. Defaults 16 MB and 250 ms. */
  transactionBytes: number;
  transactionInterval: number;
  /** Path of the state journal. */
  state: string;
  /** Overrides the id in the state file. */
  agentId: string | null;
  /** Milliseconds between checkpoints in at-least-once mode. Default 1000. */
  checkpointInterval: number;
  drainTimeout: number;
  /** With `once`: milliseconds without progress before it ends with 69. */
  timeout: number;
  once: boolean;
  dryRun: boolean;
  mustExist: boolean;
  printAcks: boolean;
  recover: "repeat" | "skip" | null;
  /** Go on with a state that belongs to another cluster or topic. */
  newDestination: boolean;
  metricsListen: string | null;
  /** The file the configuration came from, watched for changes; null when it came from flags alone. */
  configFile: string | null;
  /** What the file says and surely does not mean, a sentence each. */
  warnings: readonly string[];
  inputs: readonly InputConfig[];
}
