/**
 * A Kafka client of a few lines, independent of the product's: for readiness, for topics and for oracles. One
 * connection per request, plaintext only. https://kafka.apache.org/protocol.html
 */
import { connect } from "node:net";
import { Reader, Writer } from "../../src/kafka/protocol/wire.ts";

export interface RawRequest<T> {
  key: number;
  version: number;
  body: (writer: Writer) => void;
  parse: (reader: Reader) => T;
  /** Header v2 and response header v1 (KIP-482). */
  flexible?: boolean;
  /** Milliseconds; default 10 000. */
  timeout?: number;
}

/** Sends one request (header v1 or v2) to `host:port` and reads the response (header v0 or v1). */
export function request<T>(
  address: string,
  { key, version, body, parse, flexible = false, timeout = 10_000 }: RawRequest<T>,
): Promise<T> {
  const at = address.lastIndexOf(":");
  const writer = new Writer().int16(key).int16(version).int32(1).string("logagent-test");
  if (flexible) writer.noTags();
  body(writer);
  const frame = writer.finish();
  return new Promise((resolve, reject) => {
    const socket = connect(Number(address.slice(at + 1)), address.slice(0, at));
    let received = Buffer.alloc(0);
    socket.setTimeout(timeout, () => socket.destroy(new Error(`${address} did not answer within ${timeout} ms`)));
    socket.on("connect", () => {
      const size = Buffer.alloc(4);
      size.writeInt32BE(frame.length);
      socket.write(Buffer.concat([size, frame]));
    });
    socket.on("data", (data) => {
      received = Buffer.concat([received, data]);
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return;
      try {
        const reader = new Reader(received, 8);
        if (flexible) reader.skipTags();
        resolve(parse(reader));
      } catch (error) {
        reject(error);
      }
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`${address} closed the connection without an answer`)));
  });
}

export interface Metadata {
  brokers: { id: number; host: string; port: number }[];
  controller: number;
  topics: { error: number; name: string; partitions: RawPartition[] }[];
}

export interface RawPartition {
  error: number;
  id: number;
  leader: number;
  /** Node ids; the first is the preferred leader. */
  replicas: number[];
  isr: number[];
}

/** Metadata v1 of these topics (null: all). */
export function metadata(address: string, topics: readonly string[] | null, timeout = 5_000): Promise<Metadata> {
  return request(address, {
    key: 3,
    version: 1,
    timeout,
    body: (writer) => writer.array(topics, (topic) => writer.string(topic)),
    parse: (reader) => ({
      brokers: reader.array(() => {
        const broker = { id: reader.int32(), host: reader.string(), port: reader.int32() };
        reader.nullableString();
        return broker;
      }),
      controller: reader.int32(),
      topics: reader.array(() => {
        const topic = { error: reader.int16(), name: reader.string() };
        reader.boolean();
        const partitions = reader.array(() => {
          const partition = { error: reader.int16(), id: reader.int32(), leader: reader.int32() };
          return {
            ...partition,
            replicas: reader.array(() => reader.int32()),
            isr: reader.array(() => reader.int32()),
          };
        });
        return { ...topic, partitions };
      }),
    }),
  });
}

/** CreateTopics v4. Throws with the broker's code, except 36 (exists already). */
export async function createTopicRaw(
  address: string,
  topic: { name: string; partitions: number; replication: number; config: Record<string, string> },
): Promise<void> {
  const { code, message } = await request(address, {
    key: 19,
    version: 4,
    timeout: 30_000,
    body: (writer) =>
      writer
        .array([topic], ({ name, partitions, replication, config }) => {
          writer
            .string(name)
            .int32(partitions)
            .int16(replication)
            .array([], () => {});
          writer.array(Object.entries(config), ([key, value]) => {
            writer.string(key).string(value);
          });
        })
        .int32(20_000)
        .boolean(false),
    parse: (reader) => {
      reader.int32();
      reader.int32();
      reader.string();
      return { code: reader.int16(), message: reader.nullableString() };
    },
  });
  if (code !== 0 && code !== 36) throw new Error(`creating topic ${topic.name}: error ${code} ${message ?? ""}`);
}

/** ListOffsets v2 at one leader: -1 is the end (with `committed`: the last stable offset), -2 the beginning. */
export function listOffset(
  address: string,
  { topic, partition, at, committed = false }: { topic: string; partition: number; at: -1 | -2; committed?: boolean },
): Promise<bigint> {
  return request(address, {
    key: 2,
    version: 2,
    body: (writer) =>
      writer
        .int32(-1)
        .int8(committed ? 1 : 0)
        .array([topic], (name) => {
          writer.string(name).array([partition], (id) => {
            writer.int32(id).int64(BigInt(at));
          });
        }),
    parse: (reader) => {
      reader.int32();
      reader.int32();
      reader.string();
      reader.int32();
      reader.int32();
      const code = reader.int16();
      if (code !== 0) throw new Error(`ListOffsets of ${topic}-${partition}: error ${code}`);
      reader.int64();
      return reader.int64();
    },
  });
}

/** FindCoordinator v1 and OffsetFetch v2 for a group: throws until its coordinator serves it. Creates the offsets topic. */
export async function probeGroup(address: string, group: string): Promise<void> {
  const found = await request(address, {
    key: 10,
    version: 1,
    body: (writer) => writer.string(group).int8(0),
    parse: (reader) => {
      reader.int32();
      const code = reader.int16();
      reader.nullableString();
      return { code, node: reader.int32(), host: reader.string(), port: reader.int32() };
    },
  });
  if (found.code !== 0) throw new Error(`FindCoordinator of ${group}: error ${found.code}`);
  const code = await request(`${found.host}:${found.port}`, {
    key: 9,
    version: 2,
    body: (writer) => writer.string(group).array([], () => {}),
    parse: (reader) => {
      reader.array(() => reader.string());
      return reader.int16();
    },
  });
  if (code !== 0) throw new Error(`OffsetFetch of ${group}: error ${code}`);
}
