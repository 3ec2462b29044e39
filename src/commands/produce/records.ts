/** What becomes of the lines that were read: values as they are, keys split off, or whole records from JSON. */

import { checkTopicName } from "../../config/topic-name.ts";
import { LogagentError } from "../../errors.ts";
import type { Header, Partitioner, Route } from "../../kafka/producer/sink.ts";
import type { Lines } from "../../lines.ts";
import { parseRecord } from "../../output/record-json.ts";

export interface RecordOptions {
  /** Null: JSON records name their own. */
  topic: string | null;
  /** Null: key's hash where there is a key, JSON's partition where there is one, else sticky. */
  partitioner: Partitioner | null;
  key: Uint8Array | null;
  keyDelimiter: Buffer | null;
  /** Empty values are null. */
  nullValue: boolean;
  headers: readonly Header[];
}

/** What the lines of a parcel were, for a message about one of them. */
export interface Origin {
  /** Number of the line that record `i` was read from. */
  line(i: number): number;
  /** The partition that the record itself asks for; null: none. */
  partition(i: number): number | null;
}

/** Lines with the route they take; several of them when JSON records name several topics, which then have an origin. */
export type Parcel = [lines: Lines, route: Route, origin?: Origin];
export type ToParcels = (lines: Lines) => Iterable<Parcel>;

/** One value a line. Throws LogagentError USAGE without a topic. */
export function plainRecords(options: RecordOptions): ToParcels {
  const topic = options.topic ?? missingTopic();
  const keyed = options.keyDelimiter !== null || options.key !== null;
  const base: Route = {
    topic,
    partitioner: options.partitioner ?? (keyed ? "key" : "sticky"),
    key: options.key,
    headers: options.headers,
    ...(options.nullValue ? { tombstone: (lines: Lines, i: number) => lines.starts[i] === lines.ends[i] } : {}),
  };
  const { keyDelimiter } = options;
  if (!keyDelimiter) return (lines) => [[lines, base]];
  return (lines) => {
    const { starts: keyStarts, ends } = lines;
    const starts = keyStarts.slice(0, lines.count);
    const bytes = lines.bytes as Buffer;
    const keyEnds = new Int32Array(lines.count);
    for (let i = 0; i < lines.count; i++) {
      const at = bytes.indexOf(keyDelimiter, keyStarts[i]);
      const found = at >= 0 && at + keyDelimiter.length <= (ends[i] as number);
      keyEnds[i] = found ? at : -1;
      if (found) starts[i] = at + keyDelimiter.length;
    }
    const key = (_: Lines, i: number) => {
      const end = keyEnds[i] as number;
      return end < 0 ? options.key : bytes.subarray(keyStarts[i] as number, end);
    };
    return [
      [
        { ...lines, starts },
        { ...base, key },
      ],
    ];
  };
}

/** One JSON record a line, as `consume --format json` prints it. Throws LogagentError BAD_INPUT naming the line. */
export function jsonRecords(options: RecordOptions): ToParcels {
  return function* (lines) {
    const text = lines.bytes as Buffer;
    let parcel: JsonParcel | null = null;
    for (let i = 0; i < lines.count; i++) {
      const line = text.toString("utf8", lines.starts[i] as number, lines.ends[i] as number);
      if (line.trim() === "") continue;
      let record: ReturnType<typeof parseRecord>;
      let topic: string;
      try {
        record = parseRecord(line);
        topic = options.topic ?? record.topic ?? missingTopic();
        if (options.topic === null) checkTopicName(topic);
      } catch (error) {
        // What came before it is good.
        if (parcel) yield parcel.done(lines);
        throw badLine(lines.lineNumber + i, error);
      }
      if (parcel && parcel.topic !== topic) {
        yield parcel.done(lines);
        parcel = null;
      }
      parcel ??= new JsonParcel(topic, options);
      parcel.add(record, lines.lineNumber + i);
    }
    if (parcel) yield parcel.done(lines);
  };
}

/** The same error as one of the input, naming the line. */
export function badLine(line: number, error: unknown): LogagentError {
  return new LogagentError("BAD_INPUT", `line ${line}: ${(error as Error).message}`, error);
}

class JsonParcel {
  readonly topic: string;
  private readonly options: RecordOptions;
  private readonly records: ReturnType<typeof parseRecord>[] = [];
  private readonly lineNumbers: number[] = [];
  private size = 0;

  constructor(topic: string, options: RecordOptions) {
    this.topic = topic;
    this.options = options;
  }

  add(record: ReturnType<typeof parseRecord>, line: number): void {
    this.records.push(record);
    this.lineNumbers.push(line);
    this.size += record.value?.length ?? 0;
  }

  done(from: Lines): Parcel {
    const { records, options } = this;
    const bytes = Buffer.allocUnsafe(this.size);
    const starts = new Uint32Array(records.length);
    const ends = new Uint32Array(records.length);
    let at = 0;
    records.forEach(({ value }, i) => {
      starts[i] = at;
      if (value) bytes.set(value, at);
      at += value?.length ?? 0;
      ends[i] = at;
    });
    const now = Date.now();
    const of = (i: number) => records[i] as ReturnType<typeof parseRecord>;
    const lines = { ...from, bytes, starts, ends, nexts: ends, count: records.length, to: from.base + at };
    const route: Route = {
      topic: this.topic,
      partitioner: options.partitioner ?? "key",
      key: (_, i) => of(i).key ?? options.key,
      // A header's name may be bytes that are no UTF-8; the encoder takes both.
      headers: (_, i) => [...(of(i).headers as readonly Header[]), ...options.headers],
      timestamp: (_, i) => of(i).timestamp ?? now,
      tombstone: (_, i) => of(i).value === null || (options.nullValue && of(i).value?.length === 0),
      ...(options.partitioner === null ? { partition: (_: Lines, i: number) => of(i).partition ?? null } : {}),
    };
    const own = options.partitioner === null;
    return [
      lines,
      route,
      { line: (i) => this.lineNumbers[i] as number, partition: (i) => (own ? (of(i).partition ?? null) : null) },
    ];
  }
}

/** The given values, as if each were a line. */
export function linesOfValues(values: readonly Uint8Array[]): Lines {
  const bytes = Buffer.concat(values);
  const starts = new Uint32Array(values.length);
  const ends = new Uint32Array(values.length);
  let at = 0;
  values.forEach((value, i) => {
    starts[i] = at;
    at += value.length;
    ends[i] = at;
  });
  return { file: 0, base: 0, to: at, bytes, starts, ends, nexts: ends, count: values.length, lineNumber: 1 };
}

/** `[from, to)` of the lines. */
export function sliceLines(lines: Lines, from: number, to: number): Lines {
  return {
    ...lines,
    starts: lines.starts.subarray(from, to),
    ends: lines.ends.subarray(from, to),
    nexts: lines.nexts.subarray(from, to),
    count: to - from,
    lineNumber: lines.lineNumber + from,
  };
}

function missingTopic(): never {
  throw new LogagentError("USAGE", "producing: a topic is missing, as a word or with --topic");
}
