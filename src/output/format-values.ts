/** What a verb's braces say about how a text, a number or a time is written. */
import { isUtf8 } from "node:buffer";
import { LogagentError } from "../errors.ts";
import type { OutputBuffer } from "./buffer.ts";

export type TextWriter = (out: OutputBuffer, bytes: Buffer, from: number, to: number) => void;
export type NumberWriter = (out: OutputBuffer, value: number | bigint) => void;

const textWriters: Record<string, TextWriter> = {
  ascii: (out, bytes, from, to) => out.copy(bytes, from, to),
  hex: (out, bytes, from, to) => out.text(bytes.toString("hex", from, to)),
  base64: (out, bytes, from, to) => out.text(bytes.toString("base64", from, to)),
  json(out, bytes, from, to) {
    const part = bytes.subarray(from, to);
    out.text(JSON.stringify(part.toString(isUtf8(part) ? "utf8" : "latin1")));
  },
};

const numberWriters: Record<string, NumberWriter> = {
  ascii: (out, value) => out.integer(value),
  hex64: (out, value) => out.text(hex(value, 16)),
  hex32: (out, value) => out.text(hex(value, 8)),
  hex16: (out, value) => out.text(hex(value, 4)),
  hex8: (out, value) => out.text(hex(value, 2)),
  big64: (out, value) => binary(out, value, 8, true),
  big32: (out, value) => binary(out, value, 4, true),
  big16: (out, value) => binary(out, value, 2, true),
  big8: (out, value) => binary(out, value, 1, true),
  little64: (out, value) => binary(out, value, 8, false),
  little32: (out, value) => binary(out, value, 4, false),
  little16: (out, value) => binary(out, value, 2, false),
};

const timestampWriters: Record<string, NumberWriter> = {
  ...numberWriters,
  iso: (out, value) => out.text(isTime(value) ? new Date(Number(value)).toISOString() : String(value)),
  unix: (out, value) => out.integer(seconds(value)),
};

/** Throws LogagentError USAGE for an argument that texts do not have. */
export function textWriter(argument: string | null, format: string): TextWriter {
  return pick(textWriters, argument ?? "ascii", format);
}

export function numberWriter(argument: string | null, format: string): NumberWriter {
  return pick(numberWriters, argument ?? "ascii", format);
}

/** Timestamps are milliseconds since the epoch unless the argument says otherwise. */
export function timestampWriter(argument: string | null, format: string): NumberWriter {
  return pick(timestampWriters, argument ?? "ascii", format);
}

function pick<T>(writers: Record<string, T>, name: string, format: string): T {
  const writer = Object.hasOwn(writers, name) ? writers[name] : undefined;
  if (writer) return writer;
  throw new LogagentError(
    "USAGE",
    `reading format "${format}": {${name}} is unknown here; known are ${Object.keys(writers).join(", ")}`,
  );
}

function hex(value: number | bigint, digits: number): string {
  return BigInt.asUintN(digits * 4, BigInt(value))
    .toString(16)
    .padStart(digits, "0");
}

function binary(out: OutputBuffer, value: number | bigint, bytes: number, big: boolean): void {
  out.reserve(bytes);
  let rest = BigInt.asUintN(bytes * 8, BigInt(value));
  for (let i = 0; i < bytes; i++) {
    out.bytes[out.length + (big ? bytes - 1 - i : i)] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  out.length += bytes;
}

function seconds(milliseconds: number | bigint): number | bigint {
  if (typeof milliseconds === "number") return Math.floor(milliseconds / 1000);
  return milliseconds / 1000n - (milliseconds % 1000n < 0n ? 1n : 0n);
}

/** The range of Date. */
function isTime(value: number | bigint): boolean {
  return Math.abs(Number(value)) <= 8.64e15;
}
