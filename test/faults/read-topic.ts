/** Reads a whole topic with a client that is not ours: kcat, else Kafka's own console consumer. */
import { spawn } from "node:child_process";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { silentLog } from "../../src/observe/log.ts";
import { kafkaTool } from "../kafka/broker.ts";
import { stableEnds } from "../kafka/stable.ts";
import { hasEnded, killAtExit } from "../support/guard.ts";
import { findTool } from "../support/tools.ts";

/** Calls `onRecord` for each record, per partition in offset order; values are latin1 text without a newline. */
export async function readTopic(
  brokers: string,
  topic: string,
  onRecord: (partition: number, value: string) => void,
  isolation: "read_committed" | "read_uncommitted" = "read_committed",
): Promise<void> {
  if (isolation === "read_committed") await settle(brokers, topic);
  const kcat = findTool("kcat");
  if (kcat === null) return readWithConsoleConsumer(brokers, topic, onRecord, isolation);
  const args = ["-b", brokers, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", "%p %s\\n"];
  const child = spawn(kcat, [...args, "-X", `isolation.level=${isolation}`], { stdio: ["ignore", "pipe", "pipe"] });
  const { pid } = child;
  if (pid !== undefined) killAtExit(pid);
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  let rest = "";
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const at = line.indexOf(" ");
      onRecord(Number(line.slice(0, at)), line.slice(at + 1));
    }
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (pid !== undefined) hasEnded(pid);
  if (code !== 0) throw new Error(`kcat reading ${topic} ended with ${code}: ${errors}`);
}

async function settle(brokers: string, topic: string): Promise<void> {
  const client = createClient({ brokers: brokers.split(","), clientId: "oracle" }, silentLog);
  try {
    await stableEnds(client, topic, 3_000);
  } finally {
    await client.close();
  }
}

async function readWithConsoleConsumer(
  brokers: string,
  topic: string,
  onRecord: (partition: number, value: string) => void,
  isolation: string,
): Promise<void> {
  const properties = ["--property", "print.partition=true", "--isolation-level", isolation, "--timeout-ms", "10000"];
  const { stdout } = await kafkaTool(
    "org.apache.kafka.tools.consumer.ConsoleConsumer",
    ["--bootstrap-server", brokers, "--topic", topic, "--from-beginning", ...properties],
    { timeout: 600_000 },
  );
  for (const line of stdout.toString("latin1").split("\n")) {
    const match = /^Partition:(\d+)\t(.*)$/s.exec(line);
    if (match) onRecord(Number(match[1]), match[2]!);
  }
}

/** The values of all records of a topic, partition by partition as `readTopic` comes to them. */
export async function readValues(brokers: string, topic: string): Promise<string[]> {
  const all: string[] = [];
  await readTopic(brokers, topic, (_, value) => all.push(value));
  return all;
}
