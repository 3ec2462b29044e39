import { KafkaError } from "./errors.ts";
import type { ApiRequest } from "./request.ts";

export interface VersionRange {
  minVersion: number;
  maxVersion: number;
}

/** By API key: https://kafka.apache.org/protocol.html#protocol_api_keys */
export type ApiVersions = Record<number, VersionRange>;

/** For the user: what the broker does not speak and which release does. */
export function notSpoken({ name, version, since }: ApiRequest<unknown>, range: VersionRange): string {
  const { minVersion, maxVersion } = range;
  const speaks = `it speaks ${name} versions ${minVersion} to ${maxVersion}`;
  if (version < minVersion) return `${speaks}, this program nothing later than ${version}`;
  return `${speaks} and is too old: ${since === undefined ? `version ${version}` : `Kafka ${since} or later`} is needed`;
}

/** For the user: an API that the broker does not list. Sent all the same it would hang up. */
export function notOffered({ name }: ApiRequest<unknown>): string {
  return `it does not offer ${name}`;
}

/** ApiVersions version 2, the last before the flexible header, which brokers refuse in another way. */
export const apiVersions: ApiRequest<ApiVersions> = {
  name: "ApiVersions",
  key: 18,
  version: 2,
  body: () => {},
  parse(reader) {
    const code = reader.int16();
    if (code !== 0) throw new KafkaError(code, "asking for the broker's API versions");
    const versions: ApiVersions = {};
    reader.array(() => {
      const key = reader.int16();
      versions[key] = { minVersion: reader.int16(), maxVersion: reader.int16() };
    });
    return versions;
  },
};
