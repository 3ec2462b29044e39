/**
 * `KafkaClient` over one `BrokerLink` per address. Retries nothing by itself: a call makes one try (over all addresses
 * where any broker will do) and the caller decides on backoff.
 */
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { BrokerLink } from "../network/broker.ts";
import { ConnectionError } from "../network/connection-error.ts";
import { throwOnError } from "../protocol/errors.ts";
import { metadataRequest } from "../protocol/metadata.ts";
import { errorAfterThrottle, readBroker } from "../protocol/wire.ts";
import type { ApiRequest, ClientOptions, ClusterMetadata, KafkaClient } from "./client.ts";

export class ClusterClient implements KafkaClient {
  private readonly options: ClientOptions;
  private readonly log: Log;
  private readonly seeds: readonly string[];
  /** By address and lane. */
  private readonly links = new Map<string, BrokerLink>();
  private readonly addresses = new Map<number, string>();
  private readonly leaders = new Map<string, number[]>();
  private readonly topicIds = new Map<string, string>();
  private readonly coordinators = new Map<string, number>();
  private controller = -1;
  private closed = false;

  /** Throws LogagentError (CONFIG) on an address that is not `host:port`. */
  constructor(options: ClientOptions, log: Log) {
    this.options = options;
    this.log = log;
    this.seeds = options.brokers.map((broker) => address(...parseAddress(broker)));
    if (this.seeds.length === 0) throw new LogagentError("CONFIG", "connecting: no broker address is given");
  }

  async connect(): Promise<void> {
    await this.metadata([]);
  }

  async metadata(topics: readonly string[] | null): Promise<ClusterMetadata> {
    const metadata = await this.send("any", metadataRequest(topics));
    this.remember(metadata, topics);
    return metadata;
  }

  private remember(metadata: ClusterMetadata, asked: readonly string[] | null): void {
    for (const { nodeId, host, port } of metadata.brokers) this.addresses.set(nodeId, address(host, port));
    this.controller = metadata.controllerId;
    for (const topic of asked ?? []) {
      this.leaders.delete(topic);
      this.topicIds.delete(topic);
    }
    for (const { name, topicId, partitions } of metadata.topics) {
      if (topicId !== null) this.topicIds.set(name, topicId);
      const leaders: number[] = [];
      for (const { partition, leader } of partitions) leaders[partition] = leader;
      this.leaders.set(name, leaders);
    }
  }

  leaderOf(topic: string, partition: number): number | undefined {
    const leader = this.leaders.get(topic)?.[partition];
    return leader === undefined || leader < 0 ? undefined : leader;
  }

  topicIdOf(topic: string): string | null {
    return this.topicIds.get(topic) ?? null;
  }

  async coordinatorOf(kind: "group" | "transaction", key: string): Promise<number> {
    const known = this.coordinators.get(`${kind} ${key}`);
    if (known !== undefined) return known;
    const found = await this.send("any", findCoordinator(kind, key));
    this.addresses.set(found.nodeId, address(found.host, found.port));
    this.coordinators.set(`${kind} ${key}`, found.nodeId);
    return found.nodeId;
  }

  forgetCoordinator(kind: "group" | "transaction", key: string): void {
    this.coordinators.delete(`${kind} ${key}`);
  }

  async send<T>(node: number | "any" | "controller", request: ApiRequest<T>): Promise<T> {
    if (this.closed) throw new LogagentError("BROKER_UNAVAILABLE", `sending ${request.name}: the client is closed`);
    if (node === "any") return this.sendToAny(request);
    let id = node === "controller" ? this.controller : node;
    if (node === "controller" && id < 0) {
      await this.connect();
      id = this.controller;
    }
    const known = this.addresses.get(id);
    if (known === undefined) {
      throw new LogagentError("BROKER_UNAVAILABLE", `sending ${request.name}: no address is known for broker ${id}`);
    }
    return this.link(known, request.lane).send(request);
  }

  /** Open connections first, then known brokers, then the bootstrap addresses; each at most once. */
  private async sendToAny<T>(request: ApiRequest<T>): Promise<T> {
    const all = new Set([...this.addresses.values(), ...this.seeds]);
    const candidates = [...all].sort(
      (a, b) => Number(this.isOpen(b, request.lane)) - Number(this.isOpen(a, request.lane)),
    );
    const failures: ConnectionError[] = [];
    for (const candidate of candidates) {
      try {
        return await this.link(candidate, request.lane).send(request);
      } catch (error) {
        if (!(error instanceof ConnectionError) || this.closed) throw error;
        failures.push(error);
      }
    }
    throw unreachable(failures);
  }

  private isOpen(at: string, lane = ""): boolean {
    return this.links.get(`${at} ${lane}`)?.isOpen ?? false;
  }

  private link(at: string, lane = ""): BrokerLink {
    const key = `${at} ${lane}`;
    let link = this.links.get(key);
    if (!link) {
      const [host, port] = parseAddress(at);
      link = new BrokerLink(host, port, this.options, this.log);
      this.links.set(key, link);
    }
    return link;
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const link of this.links.values()) link.close();
  }
}

/** One error for a try over several brokers; the code is that of the trouble the user can mend, if there is any. */
function unreachable(failures: ConnectionError[]): LogagentError {
  const wrong = failures.filter((f) => f.code !== "BROKER_UNAVAILABLE");
  const telling = wrong.find((f) => !f.outOfTime) ?? wrong[0] ?? failures[0];
  const said = failures.map((f) => `${f.broker}: ${f.reason}`).join("; ");
  return new LogagentError(telling?.code ?? "BROKER_UNAVAILABLE", `connecting to Kafka failed: ${said}`, telling);
}

/** FindCoordinator, versions 1 (Kafka 0.11) and 2, and 0, which knows only groups. Throws KafkaError. */
function findCoordinator(
  kind: "group" | "transaction",
  key: string,
  version = 2,
): ApiRequest<{ nodeId: number; host: string; port: number }> {
  return {
    name: "FindCoordinator",
    key: 10,
    version,
    older: (latest) => (latest < 1 && kind !== "group" ? null : findCoordinator(kind, key, latest)),
    since: "0.11",
    body(writer) {
      writer.string(key);
      if (version >= 1) writer.int8(kind === "group" ? 0 : 1);
    },
    parse(reader) {
      const code = version >= 1 ? errorAfterThrottle(reader) : reader.int16();
      const detail = version >= 1 ? reader.nullableString() : null;
      throwOnError(code, `finding the coordinator of ${kind} "${key}"`, detail);
      return readBroker(reader, () => reader.string());
    },
  };
}

function address(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function parseAddress(broker: string): [host: string, port: number] {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(broker);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65535) {
    throw new LogagentError("CONFIG", `connecting to "${broker}": a broker address is host:port, port 1 to 65535`);
  }
  return [(match[1] ?? match[2]) as string, port];
}
