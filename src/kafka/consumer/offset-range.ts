/**
 * Where to begin and to stop reading, in rpk's grammar (`rpk topic consume --offset`):
 *
 *     start · end · N · +N (after the start) · -N (before the end) · N: · :N · N:M · :end · start:end · @T · @T: · @:T · @T1:T2
 *
 * T is a Unix time in milliseconds (13 digits) or seconds (9 or 10 digits), a day, an ISO 8601 time (UTC unless it says
 * otherwise), `-1h` for that long ago, or as T2 `1h` for that long after T1, or `end`.
 */
import { LogagentError } from "../../errors.ts";
import type { KafkaClient } from "../cluster/client.ts";
import { listOffsets, type TopicPartition } from "../cluster/list-offsets.ts";
import type { IsolationLevel } from "../protocol/fetch.ts";
import type { Assignment } from "./partition-state.ts";

/** One end of a range. `time` is in milliseconds since the epoch. */
export type OffsetPoint =
  | { kind: "start"; plus: number }
  | { kind: "end"; minus: number }
  | { kind: "exact"; offset: number }
  | { kind: "time"; time: number };

export interface OffsetRange {
  from: OffsetPoint;
  /** Exclusive; null: no end. */
  to: OffsetPoint | null;
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const start: OffsetPoint = { kind: "start", plus: 0 };
const end: OffsetPoint = { kind: "end", minus: 0 };

/** Throws LogagentError USAGE. `now` is the time that durations count from, in milliseconds since the epoch. */
export function parseOffsets(text: string, now: number): OffsetRange {
  const range = text.startsWith("@") ? parseTimes(text.slice(1), now) : parseCounts(text);
  if (range === null) {
    const forms = "start, end, N, +N, -N, N:M, :end, @TIME or @TIME:TIME";
    throw new LogagentError("USAGE", `reading offsets "${text}": it must be one of ${forms}`);
  }
  const { from, to } = range;
  const isBackwards =
    (from.kind === "exact" && to?.kind === "exact" && to.offset < from.offset) ||
    (from.kind === "time" && to?.kind === "time" && to.time < from.time);
  if (isBackwards) throw new LogagentError("USAGE", `reading offsets "${text}": the end lies before the beginning`);
  return range;
}

function parseCounts(text: string): OffsetRange | null {
  const [first, second, ...more] = text.split(":") as [string, ...string[]];
  if (more.length > 0 || text === ":" || text === "") return null;
  const from = first === "" ? start : parsePoint(first);
  const to = second === undefined || second === "" ? null : second.startsWith("+") ? null : parsePoint(second);
  if (from === null || (second && to === null)) return null;
  return { from, to };
}

function parsePoint(text: string): OffsetPoint | null {
  if (text === "start" || text === "oldest" || text === "beginning") return start;
  if (text === "end" || text === "newest" || text === "latest") return end;
  const match = /^([+-]?)(\d{1,15})$/.exec(text);
  if (!match) return null;
  const number = Number(match[2]);
  if (match[1] === "+") return { kind: "start", plus: number };
  if (match[1] === "-") return { kind: "end", minus: number };
  return { kind: "exact", offset: number };
}

function parseTimes(text: string, now: number): OffsetRange | null {
  // A colon also stands inside an ISO time: try every one as the separator, the whole text as one time first.
  const whole = parseTime(text, now);
  if (whole !== null) return { from: { kind: "time", time: whole }, to: null };
  for (let at = text.indexOf(":"); at >= 0; at = text.indexOf(":", at + 1)) {
    const first = text.slice(0, at);
    const second = text.slice(at + 1);
    const from = first === "" ? null : parseTime(first, now);
    if (first !== "" && from === null) continue;
    const begin: OffsetPoint = from === null ? start : { kind: "time", time: from };
    if (second === "") return first === "" ? null : { from: begin, to: null };
    if (second === "end") return { from: begin, to: end };
    const duration = parseDuration(second.replace(/^\+/, ""));
    if (duration !== null && from !== null) return { from: begin, to: { kind: "time", time: from + duration } };
    const to = parseTime(second, now);
    if (to !== null) return { from: begin, to: { kind: "time", time: to } };
  }
  return null;
}

function parseTime(text: string, now: number): number | null {
  if (/^\d{12,14}$/.test(text)) return Number(text);
  if (/^\d{9,10}$/.test(text)) return Number(text) * 1000;
  const ago = text.startsWith("-") ? parseDuration(text.slice(1)) : null;
  if (ago !== null) return now - ago;
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text);
  if (!match) return null;
  const time = Date.parse(`${match[1]}T${match[2] ?? "00:00:00"}${match[3] ?? "Z"}`);
  return Number.isNaN(time) ? null : time;
}

/** "1h", "1h30m", "90s" → milliseconds. */
function parseDuration(text: string): number | null {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/.test(text)) return null;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    sum += Number(number) * (units[unit as string] as number);
  }
  return Math.round(sum);
}

export interface ResolvedRange extends Assignment {
  /** What the partition holds: the first offset, and the one behind the last (with read-committed the stable one). */
  logStart: number;
  logEnd: number;
}

/**
 * Asks the brokers what the range means for each partition now. Offsets outside the log are moved into it: before the
 * start to the start, behind the end to the end. `stopAtEnd`: ranges without an end stop at the end as it is now.
 * With `missing` it does not throw for partitions that are not known: they go there, by `topic/partition`, and what is
 * answered for them has no meaning.
 */
export async function resolveOffsets(
  client: KafkaClient,
  partitions: readonly TopicPartition[],
  range: OffsetRange,
  isolation: IsolationLevel,
  stopAtEnd: boolean,
  timeout: number,
  missing?: Map<string, Error>,
): Promise<ResolvedRange[]> {
  const list = (query: "start" | "end" | number) => listOffsets(client, partitions, query, isolation, timeout, missing);
  const timeOf = (point: OffsetPoint | null) =>
    point?.kind === "time" ? list(Math.max(0, point.time)) : Promise.resolve(null);
  const [starts, ends, fromTimes, toTimes] = await Promise.all([
    list("start"),
    list("end"),
    timeOf(range.from),
    timeOf(range.to),
  ]);
  return partitions.map(({ topic, partition }, i) => {
    const logStart = starts[i]?.offset ?? 0;
    const logEnd = Math.max(logStart, ends[i]?.offset ?? 0);
    const resolve = (point: OffsetPoint, byTime: number | undefined): number => {
      switch (point.kind) {
        case "start":
          return logStart + point.plus;
        case "end":
          return logEnd - point.minus;
        case "exact":
          return point.offset;
        case "time":
          return byTime === undefined || byTime < 0 ? logEnd : byTime;
      }
    };
    const offset = Math.min(logEnd, Math.max(logStart, resolve(range.from, fromTimes?.[i]?.offset)));
    const stop = range.to === null ? Number.POSITIVE_INFINITY : resolve(range.to, toTimes?.[i]?.offset);
    return { topic, partition, offset, end: stopAtEnd ? Math.min(stop, logEnd) : stop, logStart, logEnd };
  });
}
