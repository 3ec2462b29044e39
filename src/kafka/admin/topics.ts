/** Creating, growing and deleting topics: KIP-4, KIP-195, KIP-464. Results are per topic; a request's failure throws. */
import { backoff } from "../../backoff.ts";
import { sleep, systemClock } from "../../runtime.ts";
import type { ApiRequest, KafkaClient } from "../cluster/client.ts";
import { codes, KafkaError } from "../protocol/errors.ts";
import type { Reader } from "../protocol/wire.ts";

export interface TopicResult {
  topic: string;
  /** 0 is success; see `errors.ts`. */
  errorCode: number;
  /** The broker's own words, where it has any. */
  message: string | null;
}

export interface NewTopic {
  topic: string;
  /** -1: the broker's default. */
  partitions: number;
  /** -1: the broker's default. */
  replication: number;
  configs?: Readonly<Record<string, string>>;
}

interface Options {
  /** Only checked, not done. */
  validateOnly?: boolean;
  /** Milliseconds the controller may take. Default 30 000. */
  timeout?: number;
}

/** CreateTopics v4, whose fields are those of 2 and 3; only it takes -1 for the broker's default (KIP-464, Kafka 2.4). */
export function createTopics(
  client: KafkaClient,
  topics: readonly NewTopic[],
  options: Options = {},
): Promise<TopicResult[]> {
  const { validateOnly = false, timeout = 30_000 } = options;
  const request: ApiRequest<TopicResult[]> = {
    name: "CreateTopics",
    key: 19,
    version: 4,
    older: (latest) => (latest < 2 ? null : { ...request, version: latest }),
    body(w) {
      w.array(topics, ({ topic, partitions, replication, configs = {} }) => {
        w.string(topic).int32(partitions).int16(replication);
        w.array([], () => {}); // no manual assignment
        w.array(Object.entries(configs), ([name, value]) => w.string(name).string(value));
      });
      w.int32(timeout).boolean(validateOnly);
    },
    parse: resultsWithMessage,
  };
  return client.send("controller", request);
}

/** CreatePartitions v1, or 0, whose fields are the same. `count` is the new total. */
export function createPartitions(
  client: KafkaClient,
  topics: readonly { topic: string; count: number }[],
  options: Options = {},
): Promise<TopicResult[]> {
  const { validateOnly = false, timeout = 30_000 } = options;
  const request: ApiRequest<TopicResult[]> = {
    name: "CreatePartitions",
    key: 37,
    version: 1,
    older: (latest) => ({ ...request, version: latest }),
    body(w) {
      w.array(topics, ({ topic, count }) =>
        w
          .string(topic)
          .int32(count)
          .array(null, () => {}),
      );
      w.int32(timeout).boolean(validateOnly);
    },
    parse: resultsWithMessage,
  };
  return client.send("controller", request);
}

/** DeleteTopics v3, or of older brokers 0 to 2. */
export function deleteTopics(client: KafkaClient, topics: readonly string[], timeout = 30_000): Promise<TopicResult[]> {
  const request: ApiRequest<TopicResult[]> = {
    name: "DeleteTopics",
    key: 20,
    version: 3,
    older: (latest) => ({ ...request, version: latest, parse: latest === 0 ? results : request.parse }),
    body: (w) => w.array(topics, (topic) => w.string(topic)).int32(timeout),
    parse(r) {
      r.int32();
      return results(r);
    },
  };
  return client.send("controller", request);
}

const results = (r: Reader): TopicResult[] =>
  r.array(() => ({ topic: r.string(), errorCode: r.int16(), message: null }));

/**
 * Creates the topic unless it exists, and returns when every partition has a leader. Another creator at the same time is
 * no error. `replication` -1 is the broker's default. Throws KafkaError (authorization, invalid replication, policy).
 */
export async function ensureTopic(
  client: KafkaClient,
  topic: string,
  partitions: number,
  replication: number,
  timeout = 30_000,
): Promise<"created" | "exists"> {
  const found = (await client.metadata([topic])).topics.find(({ name }) => name === topic);
  if (found?.errorCode === 0) return "exists";
  if (found && found.errorCode !== codes.UNKNOWN_TOPIC_OR_PARTITION && found.errorCode !== codes.LEADER_NOT_AVAILABLE) {
    throw new KafkaError(found.errorCode, `looking for topic "${topic}"`);
  }
  const [result] = await createTopics(client, [{ topic, partitions, replication }], { timeout });
  const existed = result?.errorCode === codes.TOPIC_ALREADY_EXISTS;
  if (result && result.errorCode !== 0 && !existed) {
    throw new KafkaError(result.errorCode, `creating topic "${topic}"`, result.message);
  }
  await waitForLeaders(client, topic, timeout);
  return existed ? "exists" : "created";
}

/** A broker may not know a new topic for a moment after the controller made it. */
export async function waitForLeaders(client: KafkaClient, topic: string, timeout: number): Promise<void> {
  const deadline = performance.now() + timeout;
  for (let tries = 1; ; tries++) {
    const found = (await client.metadata([topic])).topics.find(({ name }) => name === topic);
    if (found?.errorCode === 0 && found.partitions.length > 0 && found.partitions.every(({ leader }) => leader >= 0))
      return;
    if (performance.now() > deadline) {
      throw new KafkaError(
        found?.errorCode || codes.LEADER_NOT_AVAILABLE,
        `waiting for the leaders of topic "${topic}"`,
      );
    }
    await sleep(systemClock, backoff(tries, Math.random, 20, 500));
  }
}

function resultsWithMessage(r: Reader): TopicResult[] {
  r.int32();
  return r.array(() => ({ topic: r.string(), errorCode: r.int16(), message: r.nullableString() }));
}
