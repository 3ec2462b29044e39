/** The broker of a benchmark: a node of its own with a JVM that is not tuned for quick starts, or the one of `--brokers`. */

import { deleteTopics } from "../../../src/kafka/admin/topics.ts";
import { createClient } from "../../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../../src/observe/log.ts";
import { createTopic, startKafka, uniqueTopic } from "../../kafka/broker.ts";
import { measure } from "./meter.ts";

export interface BenchKafka {
  brokers: string;
  topic(partitions?: number): Promise<string>;
  /** Frees the disk. */
  remove(topic: string): Promise<void>;
  stop(): Promise<void>;
}

export async function benchKafka(brokers?: string): Promise<BenchKafka> {
  const cluster = brokers ? null : await startKafka({ jvm: ["-XX:TieredStopAtLevel=4", "-Xmx1g"] });
  const address = brokers ?? cluster!.brokers;
  const client = createClient({ brokers: address.split(","), clientId: "logagent-bench" }, silentLog);
  return {
    brokers: address,
    topic: (partitions = 4) => createTopic(address, uniqueTopic("bench"), partitions, { "cleanup.policy": "delete" }),
    async remove(topic) {
      await deleteTopics(client, [topic]);
    },
    async stop() {
      await client.close();
      await cluster?.stop();
    },
  };
}

/** Count and SHA-256 of the sorted values of a topic, read by kcat: a client that is not ours. */
export function digestOfTopic(brokers: string, topic: string, committed = false): string {
  const isolation = committed ? "read_committed" : "read_uncommitted";
  return digest(
    `kcat -q -C -b ${brokers} -t ${topic} -o beginning -e -X isolation.level=${isolation} -X check.crcs=true`,
  );
}

export function digestOfFile(path: string): string {
  return digest(`cat '${path}'`);
}

/** For bash: count and checksum of the sorted lines of its stdin. */
export const digestCommand =
  "{ LC_ALL=C sort -S 1G | tee >(sha256sum | cut -c1-16 >&3) | wc -l >&3; } 3>&1 | LC_ALL=C sort | paste -sd ' '";

function digest(source: string): string {
  const { stdout, exitCode, stderr } = Bun.spawnSync(["bash", "-c", `set -o pipefail; ${source} | ${digestCommand}`]);
  if (exitCode !== 0) throw new Error(`reading back: ${stderr}`);
  return stdout.toString().trim();
}

/** Brings the broker's compiler up to speed, so that the first run is not slower than the others. */
export async function warmUp(kafka: BenchKafka, file: string, times = 2): Promise<void> {
  for (let i = 0; i < times; i++) {
    const topic = await kafka.topic();
    await measure(["kcat", "-P", "-b", kafka.brokers, "-t", topic, "-X", "acks=all", "-l", file]);
    await kafka.remove(topic);
  }
}
