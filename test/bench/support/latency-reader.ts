/**
 * A process of its own: `latency-reader.ts BROKERS TOPIC ISOLATION` fetches from the topic's end, always with a request
 * waiting at the broker, and notes for every line when it was written and when it was read. Says `ready`, then
 * `first` at the first line; answers each line `FROM TO` (monotonic µs) on stdin with the latencies of the lines
 * written within, as JSON.
 */
import { createInterface } from "node:readline";
import { createClient } from "../../../src/kafka/cluster/create-client.ts";
import { listOffsets } from "../../../src/kafka/cluster/list-offsets.ts";
import { fetchRequest, type IsolationLevel } from "../../../src/kafka/protocol/fetch.ts";
import { offsetBehind } from "../../../src/kafka/record/decode-batch.ts";
import { RecordBlock, RecordSetReader } from "../../../src/kafka/record/record-set-reader.ts";
import { silentLog } from "../../../src/observe/log.ts";
import { monotonicMicros } from "./clock.ts";
import { quantile } from "./table.ts";

const [brokers = "", topic = "", isolation = "read-uncommitted"] = process.argv.slice(2);
const limits = { maxWait: 500, minBytes: 1, maxBytes: 16_000_000, partitionBytes: 4_000_000 };

let count = 0;
let written = new Float64Array(1 << 16);
let latency = new Float64Array(1 << 16);
let numbers = new Float64Array(1 << 16);

const client = createClient({ brokers: brokers.split(","), clientId: "latency-reader" }, silentLog);
await client.connect();
const { topics } = await client.metadata([topic]);
const partitions = (topics[0]?.partitions ?? []).map(({ partition }) => ({ topic, partition }));
const positions = await listOffsets(client, partitions, "end", isolation as IsolationLevel, 10_000);
const leader = client.leaderOf(topic, 0) ?? 0;
const block = new RecordBlock();

createInterface({ input: process.stdin })
  .on("line", (text) => {
    const [from, to] = text.split(" ").map(Number);
    process.stdout.write(`${JSON.stringify(summary(from ?? 0, to ?? 0))}\n`);
  })
  .on("close", () => process.exit());
process.stdout.write("ready\n");

for (;;) {
  const request = fetchRequest(positions, isolation as IsolationLevel, limits, "", 30_000);
  const response = await client.send(leader, request);
  const now = monotonicMicros();
  for (const part of response.partitions) {
    if (part.records.length === 0) continue;
    const position = positions.find(({ partition }) => partition === part.partition);
    if (!position) continue;
    const next = offsetBehind(part.records, position.offset);
    const aborted = isolation === "read-committed" ? part.aborted : null;
    const reader = new RecordSetReader(part.records, { ...position, from: position.offset, to: next, aborted }, block);
    position.offset = next;
    for (let batch = reader.next(); batch; batch = reader.next()) {
      for (let i = 0; i < batch.count; i++) note(batch.bytes, batch.valueStarts[i] ?? 0, now);
    }
  }
}

function note(bytes: Buffer, start: number, now: number): void {
  if (count === written.length) {
    written = grown(written);
    latency = grown(latency);
    numbers = grown(numbers);
  }
  let at = start;
  const number = () => {
    let value = 0;
    for (let digit = bytes[at++]; digit !== undefined && digit >= 48 && digit <= 57; digit = bytes[at++]) {
      value = value * 10 + digit - 48;
    }
    return value;
  };
  written[count] = number();
  numbers[count] = number();
  latency[count] = now - (written[count] as number);
  if (count++ === 0) process.stdout.write("first\n");
}

function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

/** Milliseconds. `lost` are numbers that are missing between the smallest and the largest that came. */
function summary(from: number, to: number) {
  const chosen: number[] = [];
  const seen = new Set<number>();
  let repeated = 0;
  let [least, most] = [Number.POSITIVE_INFINITY, -1];
  for (let i = 0; i < count; i++) {
    const number = numbers[i] as number;
    if (seen.has(number)) repeated++;
    seen.add(number);
    least = Math.min(least, number);
    most = Math.max(most, number);
    if ((written[i] as number) >= from && (written[i] as number) < to) chosen.push((latency[i] as number) / 1000);
  }
  const lost = seen.size === 0 ? 0 : most - least + 1 - seen.size;
  const [p50, p99, max] = [0.5, 0.99, 1].map((q) => quantile(chosen, q));
  return { count: chosen.length, p50, p99, max, lost, repeated };
}
