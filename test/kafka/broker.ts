/** Real Apache Kafka for tests: one node or three, KRaft, each with its own data directory, gone with this process. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { removeDir, tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";
import {
  baseProperties,
  type ListenerOptions,
  listenerProperties,
  makeSecrets,
  type Secrets,
  users,
  writeProperties,
} from "./config.ts";
import { cacheDir, kafkaJars } from "./jars.ts";
import { KafkaNode } from "./node.ts";
import { freePorts } from "./ports.ts";
import { createTopicRaw, listOffset, metadata, probeGroup } from "./request.ts";

export { users } from "./config.ts";
export type { KafkaNode } from "./node.ts";

const run = promisify(execFile);

export interface KafkaOptions {
  nodes?: 1 | 3;
  /** Broker properties over the defaults. */
  config?: Record<string, string | number>;
  /** Those of node 1, 2, 3 alone, over all others. */
  ofNode?: (node: number) => Record<string, string | number>;
  /** More listeners for clients, by name. */
  listeners?: Record<string, ListenerOptions>;
  /** The port that the plaintext listener of node 1, 2, 3 announces to clients: a proxy's. */
  advertised?: (node: number) => number;
  /** SCRAM credentials for `users`, on top of the passwords of PLAIN. */
  scram?: boolean;
  /** ACLs are enforced; `User:admin` and the plaintext listeners' `User:ANONYMOUS` may do everything. */
  acls?: boolean;
  /** Java options over the small and quickly started defaults. */
  jvm?: readonly string[];
}

export interface KafkaCluster {
  /** `host:port,…` as clients use it: through `advertised` if given. */
  brokers: string;
  /** The same nodes, never through a proxy. */
  direct: string;
  /** `host:port,…` of the listeners asked for, by name. */
  listeners: Record<string, string>;
  nodes: KafkaNode[];
  secrets: Secrets;
  /** Where the plaintext listener of each node really is: a proxy's target. */
  ports: number[];
  createTopic(name: string, partitions?: number, config?: Record<string, string>): Promise<string>;
  stop(): Promise<void>;
}

const quick = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
const logging = [`-Dlog4j2.configurationFile=${join(import.meta.dirname, "log4j2.properties")}`];

/** Resolves when every node serves metadata that lists all nodes. A port taken meanwhile by another: once more. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaCluster> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (attempt === 3 || !/failed to bind|Address already in use/.test(String(error))) throw error;
    }
  }
}

async function startOnce(options: KafkaOptions): Promise<KafkaCluster> {
  const count = options.nodes ?? 1;
  const jars = await kafkaJars();
  const dir = tempDir("kafka");
  const secrets = makeSecrets(dir);
  const names = Object.keys(options.listeners ?? {});
  const perNode = 3 + names.length;
  const ports = await freePorts(count * perNode);
  const ids = Array.from({ length: count }, (_, i) => i + 1);
  const portOf = (id: number, listener: number) => ports[(id - 1) * perNode + listener]!;
  const clusterId = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
  const bootstrap = await bootstrapCheckpoint(jars, options.scram === true, dir);

  const nodes = ids.map((id) => {
    const nodeDir = join(dir, `node-${id}`);
    const data = join(nodeDir, "data");
    mkdirSync(data, { recursive: true });
    const listeners = ["CONTROLLER", "DIRECT", "CLIENT", ...names];
    const address = listeners.map((name, i) => `${name}://127.0.0.1:${portOf(id, i)}`);
    const announced = address.slice(1);
    if (options.advertised) announced[1] = `CLIENT://127.0.0.1:${options.advertised(id)}`;
    const protocols = Object.entries(options.listeners ?? {}).map(([name, { protocol }]) => `${name}:${protocol}`);
    const properties: Record<string, string | number> = {
      ...baseProperties(count),
      "node.id": id,
      "controller.quorum.voters": ids.map((voter) => `${voter}@127.0.0.1:${portOf(voter, 0)}`).join(","),
      listeners: address.join(","),
      "advertised.listeners": announced.join(","),
      "listener.security.protocol.map": [
        "CONTROLLER:PLAINTEXT",
        "DIRECT:PLAINTEXT",
        "CLIENT:PLAINTEXT",
        ...protocols,
      ].join(","),
      "log.dirs": data,
    };
    for (const [name, listener] of Object.entries(options.listeners ?? {})) {
      Object.assign(properties, listenerProperties(name, listener, nodeDir, secrets));
    }
    if (options.acls) {
      properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
      properties["super.users"] = "User:admin;User:ANONYMOUS";
    }
    writeProperties(join(nodeDir, "server.properties"), { ...properties, ...options.config, ...options.ofNode?.(id) });
    const uuid = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("base64url");
    const meta = `version=1\ncluster.id=${clusterId}\nnode.id=${id}\ndirectory.id=${uuid}\n`;
    writeFileSync(join(data, "meta.properties"), meta);
    cpSync(bootstrap, join(data, "bootstrap.checkpoint"));
    const jvm = [...quick, ...logging, ...(options.jvm ?? [])];
    const node: KafkaNode = new KafkaNode({ id, port: portOf(id, 1), jars, dir: nodeDir, jvm }, () => serves(node, 1));
    return node;
  });

  const stop = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    removeDir(dir);
  };
  try {
    for (const node of nodes) node.launch();
    await Promise.all(nodes.map((node) => serves(node, count)));
  } catch (error) {
    await stop();
    throw error;
  }
  const direct = nodes.map((node) => node.address).join(",");
  return {
    brokers: ids.map((id) => `127.0.0.1:${options.advertised?.(id) ?? portOf(id, 2)}`).join(","),
    direct,
    listeners: Object.fromEntries(
      names.map((name, i) => [name, ids.map((id) => `localhost:${portOf(id, 3 + i)}`).join(",")]),
    ),
    nodes,
    secrets,
    ports: ids.map((id) => portOf(id, 2)),
    createTopic: (name, partitions, config) => createTopic(direct, name, partitions, config),
    stop,
  };
}

/** The node answers a metadata request and sees at least `count` nodes. */
async function serves(node: KafkaNode, count: number): Promise<void> {
  await waitFor(
    `Kafka node ${node.id} at ${node.address}`,
    async () => {
      if (!node.running) return true;
      return (await metadata(node.address, [], 2_000)).brokers.length >= count;
    },
    { timeout: 90_000, every: 50 },
  ).catch((error) => {
    throw new Error(`${error.message}\n${node.log().slice(-4_000)}`, { cause: error });
  });
  if (!node.running) throw new Error(`Kafka node ${node.id} ended while starting:\n${node.log().slice(-4_000)}`);
}

/**
 * The feature levels a new cluster starts with, as `kafka-storage.sh format` writes them. The file names no cluster, so
 * the plain one is made once and copied; with SCRAM users it holds their (salted) credentials and is made each time.
 */
async function bootstrapCheckpoint(jars: string, scram: boolean, dir: string): Promise<string> {
  const cached = join(cacheDir(), `${jars.slice(jars.lastIndexOf("/") + 1)}.bootstrap`);
  if (!scram && existsSync(cached)) return cached;
  const temporary = mkdtempSync(join(dir, "format-"));
  const config = join(temporary, "format.properties");
  writeProperties(config, {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.quorum.voters": "1@127.0.0.1:9",
    "controller.listener.names": "CONTROLLER",
    listeners: "CONTROLLER://127.0.0.1:9,PLAINTEXT://127.0.0.1:10",
    "log.dirs": join(temporary, "data"),
  });
  const credentials = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) =>
    Object.entries(users).flatMap(([name, password]) => ["-S", `${mechanism}=[name=${name},password=${password}]`]),
  );
  const args = ["format", "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", config, ...(scram ? credentials : [])];
  await kafkaTool("kafka.tools.StorageTool", args);
  const made = join(temporary, "data", "bootstrap.checkpoint");
  if (scram) return made;
  const staged = join(cacheDir(), `${process.pid}.bootstrap`);
  cpSync(made, staged);
  renameSync(staged, cached);
  rmSync(temporary, { recursive: true });
  return cached;
}

/** Runs one of Kafka's own command-line classes, for example `org.apache.kafka.tools.consumer.ConsoleConsumer`. */
export async function kafkaTool(
  className: string,
  args: readonly string[],
  { timeout = 60_000 }: { timeout?: number } = {},
): Promise<{ stdout: Buffer; stderr: string }> {
  const java = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", ...logging];
  const result = await run("java", [...java, "-cp", `${await kafkaJars()}/*`, className, ...args], {
    encoding: "buffer",
    maxBuffer: 1 << 30,
    timeout,
    killSignal: "SIGKILL",
  });
  return { stdout: result.stdout, stderr: result.stderr.toString() };
}

/** Creates the topic (no error if it exists) and waits until every partition's leader serves it. */
export async function createTopic(
  brokers: string,
  name: string,
  partitions = 1,
  config: Record<string, string> = {},
): Promise<string> {
  const address = brokers.split(",")[0]!;
  const nodes = (await metadata(address, [])).brokers.length;
  await createTopicRaw(address, { name, partitions, replication: Math.min(nodes, 3), config });
  for (const broker of brokers.split(",")) {
    await waitFor(`leaders of topic ${name}`, async () => {
      const topic = (await metadata(broker, [name])).topics[0];
      return topic?.partitions.length === partitions && topic.partitions.every(({ leader }) => leader >= 0);
    });
  }
  await waitFor(`topic ${name} being served`, () => endOffsets(brokers, name).then(() => true));
  return name;
}

/** Per partition: the offset behind the last record that read-committed readers can see. */
export async function endOffsets(brokers: string, topic: string, committed = true): Promise<bigint[]> {
  const { brokers: nodes, topics } = await metadata(brokers.split(",")[0]!, [topic]);
  const partitions = [...(topics[0]?.partitions ?? [])].sort((a, b) => a.id - b.id);
  return Promise.all(
    partitions.map(({ id, leader }) => {
      const node = nodes.find((broker) => broker.id === leader);
      if (!node) throw new Error(`end offsets of ${topic}-${id}: it has no leader`);
      return listOffset(`${node.host}:${node.port}`, { topic, partition: id, at: -1, committed });
    }),
  );
}

let shared: Promise<KafkaCluster> | undefined;
let sequence = 0;

/**
 * The node that test files share: the runner's (LOGAGENT_TEST_BROKERS), else one started now that ends with this
 * process. Use topics of your own (`uniqueTopic`), do not stop it.
 */
export async function sharedKafka(): Promise<{ brokers: string }> {
  const brokers = process.env.LOGAGENT_TEST_BROKERS;
  if (brokers) return { brokers };
  shared ??= startShared();
  return { brokers: (await shared).brokers };
}

/** A node that serves groups already: no test is the first, which meets a coordinator that is still loading. */
export async function startShared(): Promise<KafkaCluster> {
  const cluster = await startKafka();
  for (const group of ["probe-1", "probe-2", "probe-3", "probe-4", "probe-5", "probe-6"]) {
    await waitFor(`the coordinator of ${group}`, () => probeGroup(cluster.direct, group).then(() => true), {
      every: 100,
    });
  }
  return cluster;
}

/** A topic name no other test uses. */
export function uniqueTopic(name: string): string {
  sequence++;
  return `${name}-${process.pid}-${Date.now().toString(36)}-${sequence}`;
}

/** Stops and starts every node; brings nothing back that was not fsynced or replicated by the page cache. */
export async function restart(cluster: KafkaCluster, downMs = 0): Promise<void> {
  await Promise.all(cluster.nodes.map((node) => node.kill()));
  await pause(downMs);
  for (const node of cluster.nodes) node.launch();
  await Promise.all(cluster.nodes.map((node) => serves(node, cluster.nodes.length)));
}
