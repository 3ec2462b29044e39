/**
 * The one JSON shape of a record, both ways: what `consume --format json` and `tail --dry-run` print, one object a line,
 * and what `produce --input-format json` reads. Nothing is lost on the way:
 *
 *     {"topic":"t","partition":0,"offset":7,"timestamp":1700000000000,"key":"k","value":"v","headers":[{"key":"h","value":"x"}]}
 *
 * - A key, value or header value that is not valid UTF-8 stands as `key_base64` or `value_base64` instead; null is null.
 * - Headers keep their order and may repeat a name; a header's name that is not valid UTF-8 stands as `key_base64`.
 * - `timestamp` is in milliseconds since the epoch; it, `topic`, `partition` and `offset` may be absent.
 */
import { isUtf8 } from "node:buffer";
import { LogagentError } from "../errors.ts";

export interface JsonHeader {
  /** A string, or the bytes where they are not valid UTF-8. */
  key: string | Uint8Array;
  value: Uint8Array | null;
}

export interface JsonRecord {
  topic?: string;
  partition?: number;
  offset?: number | bigint;
  timestamp?: number | bigint;
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: readonly JsonHeader[];
}

/** One line of JSON, without the line break. */
export function encodeRecord(record: JsonRecord): string {
  let json = "{";
  if (record.topic !== undefined) json += `"topic":${JSON.stringify(record.topic)},`;
  if (record.partition !== undefined) json += `"partition":${record.partition},`;
  if (record.offset !== undefined) json += `"offset":${record.offset},`;
  if (record.timestamp !== undefined) json += `"timestamp":${record.timestamp},`;
  json += `${field("key", record.key)},${field("value", record.value)},"headers":[`;
  let separator = "";
  for (const { key, value } of record.headers) {
    const name = typeof key === "string" ? `"key":${JSON.stringify(key)}` : field("key", key);
    json += `${separator}{${name},${field("value", value)}}`;
    separator = ",";
  }
  return `${json}]}`;
}

function field(name: string, bytes: Uint8Array | null): string {
  if (bytes === null) return `"${name}":null`;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? `"${name}":${JSON.stringify(buffer.toString("utf8"))}`
    : `"${name}_base64":"${buffer.toString("base64")}"`;
}

const recordFields = new Set([
  "topic",
  "partition",
  "offset",
  "timestamp",
  "key",
  "key_base64",
  "value",
  "value_base64",
  "headers",
]);
const headerFields = new Set(["key", "key_base64", "value", "value_base64"]);

/**
 * Reads one line. The value must be present (null for a tombstone), the rest may be absent; unknown fields are refused,
 * since a misspelt one would lose data silently. Throws LogagentError BAD_INPUT.
 */
export function parseRecord(line: string): JsonRecord {
  const object = fieldsOf(parseJson(line), "a record", recordFields);
  const value = bytesOf(object, "value");
  if (value === undefined)
    throw bad(`a record needs "value" or "value_base64" (null for a tombstone); got ${shorten(line)}`);
  const record: JsonRecord = { key: bytesOf(object, "key") ?? null, value, headers: headersOf(object.headers) };
  if (object.topic !== undefined && object.topic !== null) {
    if (typeof object.topic !== "string") throw bad(`"topic" must be a string; got ${shorten(object.topic)}`);
    record.topic = object.topic;
  }
  const timestamp = object.timestamp;
  if (timestamp !== undefined && timestamp !== null) record.timestamp = timestampOf(timestamp, line);
  for (const name of ["partition", "offset"] as const) {
    const number = object[name];
    if (number === undefined || number === null) continue;
    if (typeof number !== "number" || !Number.isInteger(number)) {
      throw bad(`"${name}" must be a whole number; got ${shorten(number)}`);
    }
    record[name] = number;
  }
  return record;
}

/** A number has no more than 53 bits: beyond them the digits of the text count. */
function timestampOf(value: unknown, line: string): number | bigint {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw bad(`"timestamp" must be a whole number; got ${shorten(value)}`);
  }
  if (Number.isSafeInteger(value)) return value;
  let exact = BigInt(value);
  const keepDigits = (name: string, _: unknown, { source }: { source?: string } = {}) => {
    if (name === "timestamp" && source !== undefined && /^-?\d+$/.test(source)) exact = BigInt(source);
  };
  JSON.parse(line, keepDigits as (name: string, value: unknown) => unknown);
  if (exact !== BigInt.asIntN(64, exact)) throw bad(`"timestamp" must be a number of 64 bits; got ${exact}`);
  return exact;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw bad(`a record must be one JSON object on one line; got ${shorten(line)}`, error);
  }
}

function fieldsOf(value: unknown, what: string, known: ReadonlySet<string>): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(`${what} must be a JSON object; got ${shorten(value)}`);
  }
  for (const name of Object.keys(value)) {
    if (!known.has(name)) throw bad(`${what} has the fields ${[...known].join(", ")}; got "${name}"`);
  }
  return value as Record<string, unknown>;
}

function bytesOf(object: Record<string, unknown>, name: "key" | "value"): Buffer | null | undefined {
  const text = object[name];
  const base64 = object[`${name}_base64`];
  if (text !== undefined && base64 !== undefined) throw bad(`"${name}" and "${name}_base64" exclude each other`);
  if (base64 !== undefined && base64 !== null) {
    if (typeof base64 !== "string" || !isBase64(base64))
      throw bad(`"${name}_base64" must be base64; got ${shorten(base64)}`);
    return Buffer.from(base64, "base64");
  }
  if (text === null || base64 === null) return null;
  if (text === undefined) return undefined;
  if (typeof text !== "string") throw bad(`"${name}" must be a string or null; got ${shorten(text)}`);
  if (!text.isWellFormed())
    throw bad(`"${name}" holds half a surrogate pair, which has no UTF-8 form; use "${name}_base64"`);
  return Buffer.from(text, "utf8");
}

/** RFC 4648 §4, padded. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function headersOf(value: unknown): JsonHeader[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw bad(`"headers" must be a list of {"key":…,"value":…}; got ${shorten(value)}`);
  return value.map((item) => {
    const object = fieldsOf(item, "a header", headerFields);
    const key = bytesOf(object, "key");
    if (key === null || key === undefined) throw bad(`a header needs "key"; got ${shorten(item)}`);
    const name = typeof object.key === "string" ? object.key : key;
    return { key: name, value: bytesOf(object, "value") ?? null };
  });
}

function shorten(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

function bad(message: string, cause?: unknown): LogagentError {
  return new LogagentError("BAD_INPUT", `reading a JSON record: ${message}`, cause);
}
