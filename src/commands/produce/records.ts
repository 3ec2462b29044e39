/** What becomes of the lines that were read: values as they are, keys split off, or whole records from JSON. */
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

/** Lines with the route they take; several of them when JSON records name several topics. */
export type Parcel = [lines: Lines, route: Route];
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
      try {
        record = parseRecord(line);
      } catch (error) {
        if (parcel) yield parcel.done(lines);
        throw new LogagentError("BAD_INPUT", `line ${lines.lineNumber + i}: ${(error as Error).message}`, error);
      }
      const topic = options.topic ?? record.topic ?? missingTopic();
      if (parcel && parcel.topic !== topic) {
        yield parcel.done(lines);
        parcel = null;
      }
      parcel ??= new JsonParcel(topic, options);
      parcel.add(record);
    }
    if (parcel) yield parcel.done(lines);
  };
}

class JsonParcel {
  readonly topic: string;
  private readonly options: RecordOptions;
  private readonly records: ReturnType<typeof parseRecord>[] = [];
  private size = 0;

  constructor(topic: string, options: RecordOptions) {
    this.topic = topic;
    this.options = options;
  }

  add(record: ReturnType<typeof parseRecord>): void {
    this.records.push(record);
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
      timestamp: (_, i) => Number(of(i).timestamp ?? now),
      tombstone: (_, i) => of(i).value === null || (options.nullValue && of(i).value?.length === 0),
      ...(options.partitioner === null ? { partition: (_: Lines, i: number) => of(i).partition ?? null } : {}),
    };
    return [lines, route];
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
