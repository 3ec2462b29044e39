/** Topic configurations: DescribeConfigs (KIP-133, KIP-226) and IncrementalAlterConfigs (KIP-339). */

import type { KafkaClient } from "../cluster/client.ts";
import { throwOnError } from "../protocol/errors.ts";
import type { ApiRequest } from "../protocol/request.ts";
import { theOne } from "../protocol/wire.ts";
import type { TopicResult } from "./topics.ts";

const TOPIC = 2;
const operations = { set: 0, delete: 1, append: 2, subtract: 3 } as const;

/** Where a value comes from; 1 to 4 are set explicitly somewhere, 5 is Kafka's default. */
const sources = ["unknown", "topic", "dynamic-broker", "dynamic-default-broker", "static-broker", "default"] as const;

export interface ConfigEntry {
  name: string;
  /** Null for sensitive values. */
  value: string | null;
  source: (typeof sources)[number];
  readOnly: boolean;
  sensitive: boolean;
}

export interface ConfigChange {
  name: string;
  operation: keyof typeof operations;
  /** Null for `delete`. */
  value: string | null;
}

/** DescribeConfigs of one topic. Throws KafkaError. */
export async function describeTopicConfigs(client: KafkaClient, topic: string): Promise<ConfigEntry[]> {
  const result = await client.send("any", describeRequest(topic));
  throwOnError(result.errorCode, `describing the configuration of topic "${topic}"`, result.message);
  return result.entries;
}

/** Version 2, or 1, whose fields are the same. */
function describeRequest(
  topic: string,
): ApiRequest<{ errorCode: number; message: string | null; entries: ConfigEntry[] }> {
  const request: ReturnType<typeof describeRequest> = {
    name: "DescribeConfigs",
    key: 32,
    version: 2,
    older: (latest) => (latest < 1 ? null : { ...request, version: latest }),
    since: "1.1",
    body: (w) =>
      w
        .array([topic], (name) =>
          w
            .int8(TOPIC)
            .string(name)
            .array(null, () => {}),
        )
        .boolean(false),
    parse(r) {
      r.int32();
      const found = r.array(() => {
        const errorCode = r.int16();
        const message = r.nullableString();
        r.int8();
        r.string();
        const entries = r.array((): ConfigEntry => {
          const name = r.string();
          const value = r.nullableString();
          const readOnly = r.boolean();
          const source = sources[r.int8()] ?? "unknown";
          const sensitive = r.boolean();
          r.array(() => [r.string(), r.nullableString(), r.int8()]); // synonyms
          return { name, value, source, readOnly, sensitive };
        });
        return { errorCode, message, entries };
      });
      return theOne(found);
    },
  };
  return request;
}

/** IncrementalAlterConfigs v0: what is not named stays as it is, unlike AlterConfigs. */
export function alterTopicConfigs(
  client: KafkaClient,
  topics: readonly string[],
  changes: readonly ConfigChange[],
  validateOnly: boolean,
): Promise<TopicResult[]> {
  return client.send("controller", {
    name: "IncrementalAlterConfigs",
    key: 44,
    version: 0,
    since: "2.3",
    body(w) {
      w.array(topics, (topic) => {
        w.int8(TOPIC).string(topic);
        w.array(changes, ({ name, operation, value }) => w.string(name).int8(operations[operation]).string(value));
      }).boolean(validateOnly);
    },
    parse(r) {
      r.int32();
      return r.array(() => {
        const errorCode = r.int16();
        const message = r.nullableString();
        r.int8();
        return { topic: r.string(), errorCode, message };
      });
    },
  });
}
