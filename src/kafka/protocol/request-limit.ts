/**
 * DescribeConfigs, versions 1 to 3, of one broker for the largest request it reads, `socket.request.max.bytes`: a larger one
 * makes it hang up without a word. https://kafka.apache.org/protocol.html#The_Messages_DescribeConfigs
 */

import { throwOnError } from "./errors.ts";
import type { ApiRequest } from "./request.ts";
import { theOne } from "./wire.ts";

const BROKER = 4;
const setting = "socket.request.max.bytes";

/** Bytes; null where the broker does not say. Throws KafkaError, for example where we may not see the configuration. */
export function requestLimit(node: number, version = 2): ApiRequest<number | null> {
  return {
    name: "DescribeConfigs",
    key: 32,
    lane: "limit", // the other connections end with each try of what is too large
    version,
    older: (latest) => (latest < 1 ? null : requestLimit(node, latest)),
    body: (w) =>
      w
        .array([setting], (name) =>
          w
            .int8(BROKER)
            .string(String(node))
            .array([name], (item) => w.string(item)),
        )
        .boolean(false),
    parse(r) {
      r.int32();
      const found = r.array(() => {
        const answer = { code: r.int16(), message: r.nullableString() };
        r.int8();
        r.string();
        const values = r.array(() => {
          const entry = { name: r.string(), value: r.nullableString() };
          r.boolean();
          r.int8();
          r.boolean();
          r.array(() => [r.string(), r.nullableString(), r.int8()]); // synonyms
          return entry;
        });
        return { ...answer, values };
      });
      const { code, message, values } = theOne(found);
      throwOnError(code, `asking broker ${node} for ${setting}`, message);
      const bytes = Number(values.find(({ name }) => name === setting)?.value ?? 0);
      return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
    },
  };
}
