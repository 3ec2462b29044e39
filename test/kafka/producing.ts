/** Helpers for the producer's tests: lines as the tailer hands them down, a feeder with push-back, and the read-back. */
import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { createClient } from "../../src/kafka/cluster/create-client.ts";
import { Fetcher, fetchDefaults } from "../../src/kafka/consumer/fetcher.ts";
import { createProducer, type ProducerOptions } from "../../src/kafka/producer/idempotent-producer.ts";
import type { Batch, Outcome, Route, Sink, SinkEvent } from "../../src/kafka/producer/sink.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import type { Lines, Range } from "../../src/lines.ts";
import { silentLog } from "../../src/observe/log.ts";
import { type Clock, systemClock } from "../../src/runtime.ts";
import { makeLine, readLine } from "../support/lines.ts";
import { stableEnds } from "./stable.ts";

/** A chunk of one file that holds these values, newline-terminated as in the file. */
export function linesOf(values: readonly (string | Uint8Array)[], base = 0, file = 1): Lines {
  const parts = values.map((value) => Buffer.from(value as Uint8Array));
  const bytes = Buffer.concat(parts.flatMap((part) => [part, Buffer.from("\n")]));
  const starts = new Uint32Array(values.length);
  const ends = new Uint32Array(values.length);
  const nexts = new Uint32Array(values.length);
  let at = 0;
  parts.forEach((part, i) => {
    starts[i] = at;
    ends[i] = at + part.length;
    at += part.length + 1;
    nexts[i] = at;
  });
  const to = base + bytes.length;
  return { file, base, to, bytes, starts, ends, nexts, count: values.length, lineNumber: 1 };
}

export const plainRoute = (topic: string, more: Partial<Route> = {}): Route => ({
  topic,
  partitioner: "sticky",
  key: null,
  headers: [],
  ...more,
});

export const producerDefaults: ProducerOptions = {
  acks: -1,
  compression: "none",
  lingerMs: 0,
  batchBytes: 16_384,
  memoryBytes: 4 << 20,
  requestTimeout: 2_000,
};

/** A sink with what it reported. */
export class TestProducer {
  readonly client: KafkaClient;
  readonly sink: Sink;
  readonly events: SinkEvent[] = [];
  readonly settled: { batch: Batch; outcome: Outcome }[] = [];
  readonly ranges = new Set<Range>();
  acked = 0;
  dropped = 0;
  most = 0;
  private position = 0;
  private written = 0;

  constructor(brokers: string, options: Partial<ProducerOptions> = {}, clock: Clock = systemClock) {
    const all = { ...producerDefaults, onEvent: (event: SinkEvent) => this.events.push(event), ...options };
    const connection = {
      brokers: brokers.split(","),
      clientId: "test",
      connectTimeout: 2_000,
      requestTimeout: all.requestTimeout ?? 2_000,
    };
    this.client = createClient(connection, silentLog);
    this.sink = createProducer(this.client, all, clock, Math.random, silentLog);
    this.sink.onSettled((batch, outcome) => {
      this.settled.push({ batch, outcome });
      for (const range of batch.ranges) this.ranges.add(range);
      if (outcome.kind === "acked") this.acked += batch.count;
      else this.dropped += batch.count;
    });
  }

  eventsNamed(name: string): SinkEvent[] {
    return this.events.filter((event) => event.name === name);
  }

  /** Appends `count` more numbered lines once there is room. */
  async feed(route: Route, count: number, length = 80): Promise<void> {
    while (!this.sink.hasRoom(route.topic)) await new Promise<void>((resolve) => setTimeout(resolve, 2));
    const values = Array.from({ length: count }, (_, i) => makeLine("f", this.written + i + 1, length));
    this.written += count;
    const lines = linesOf(values, this.position);
    this.position = lines.to;
    this.sink.append(lines, route);
    this.most = Math.max(this.most, this.sink.buffered);
  }

  get total(): number {
    return this.written;
  }

  /** All ranges, in the order of the file, joined: [[from, to]] when contiguous. Throws on one that is not settled. */
  positions(): [number, number][] {
    const joined: [number, number][] = [];
    for (const range of [...this.ranges].sort((a, b) => a.from - b.from)) {
      if (range.pending !== 0 || range.open) throw new Error(`range ${range.from}-${range.to} is not settled`);
      const last = joined[joined.length - 1];
      if (last?.[1] === range.from) last[1] = range.to;
      else joined.push([range.from, range.to]);
    }
    return joined;
  }

  get end(): number {
    return this.position;
  }
}

export interface ReadRecord {
  partition: number;
  offset: number;
  timestamp: number;
  key: string | null;
  value: Buffer | null;
  headers: [string, string | null][];
}

/** Everything the topic holds for read-committed readers, by partition and offset. */
export async function readTopic(brokers: string, topic: string): Promise<ReadRecord[]> {
  const client = createClient({ brokers: brokers.split(","), clientId: "reader" }, silentLog);
  const records: ReadRecord[] = [];
  try {
    const ends = await stableEnds(client, topic, 10_000);
    const fetcher = new Fetcher(client, fetchDefaults, silentLog);
    fetcher.assign(ends.map(({ partition, offset }) => ({ topic, partition, offset: 0, end: offset })));
    for (let part = await fetcher.next(); part; part = await fetcher.next()) {
      const reader = new RecordSetReader(part.records, { ...part, offset: part.from } as never);
      for (let block = reader.next(); block; block = reader.next()) {
        for (let i = 0; i < block.count; i++) {
          const value = block.value(i);
          records.push({
            partition: part.partition,
            offset: block.offsets[i] as number,
            timestamp: block.timestamps[i] as number,
            key: block.key(i)?.toString() ?? null,
            value: value && Buffer.from(value),
            headers: block.headers(i).map((h) => [h.name.toString(), h.value?.toString() ?? null]),
          });
        }
      }
    }
    fetcher.close();
  } finally {
    await client.close();
  }
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

export interface Verdict {
  lost: number;
  repeated: number;
  damaged: number;
  /** Lines that stand behind a later one of the same partition. */
  disordered: number;
}

/** Numbered lines 1…total as the topic holds them. */
export function judge(records: readonly ReadRecord[], total: number): Verdict {
  const seen = new Set<number>();
  const last = new Map<number, number>();
  const verdict = { lost: 0, repeated: 0, damaged: 0, disordered: 0 };
  for (const { partition, value } of records) {
    const line = readLine(value?.toString() ?? "");
    if (!line) {
      verdict.damaged++;
      continue;
    }
    if (seen.has(line.number)) verdict.repeated++;
    else if (line.number < (last.get(partition) ?? 0)) verdict.disordered++;
    seen.add(line.number);
    last.set(partition, Math.max(line.number, last.get(partition) ?? 0));
  }
  for (let number = 1; number <= total; number++) if (!seen.has(number)) verdict.lost++;
  return verdict;
}

export const clean: Verdict = { lost: 0, repeated: 0, damaged: 0, disordered: 0 };
