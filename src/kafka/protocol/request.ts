/** What every request of the protocol is made of. */
import type { Reader, Writer } from "./wire.ts";

export interface TopicPartition {
  topic: string;
  partition: number;
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
