/**
 * Output formats in rpk's manner: text with verbs, compiled once into a list of writers.
 *
 *     %t topic   %p partition   %o offset   %k key   %v value   %K %V their lengths   %T or %d timestamp   %e leader epoch
 *     %h headers as name=value,…   %h{%k=%v } each header by an inner format   %H their number   %i records so far   %%
 *
 * In braces behind a verb: {hex} {base64} {json} for texts, {iso} {unix} for timestamps, {big64} {big32} {big16} {big8}
 * {little64} {little32} {little16} {hex64} {hex32} {hex16} {hex8} for numbers. Escapes: \n \t \r \0 \\ \xNN.
 * Nulls print as nothing.
 */
import { LogagentError } from "../errors.ts";
import type { RecordBlock, RecordHeader } from "../kafka/record/record-set-reader.ts";
import type { OutputBuffer } from "./buffer.ts";
import { parseFormat } from "./format-parse.ts";
import { type NumberWriter, numberWriter, type TextWriter, textWriter, timestampWriter } from "./format-values.ts";
import { encodeRecord } from "./record-json.ts";

/** Writes record `i` of the block. `printed` counts from 1. */
export type RecordWriter = (out: OutputBuffer, block: RecordBlock, i: number, printed: number) => void;

/** "json" or a text with verbs. Throws LogagentError USAGE. */
export function compileFormat(format: string): RecordWriter {
  if (format === "json") return writeJson;
  const writers = parseFormat(format).map((part) =>
    typeof part === "string" ? literal(unescapeText(part)) : recordVerb(part.verb, part.argument, format),
  );
  const [first, second] = writers;
  if (writers.length === 1 && first) return first;
  if (writers.length === 2 && first && second) {
    return (out, block, i, printed) => {
      first(out, block, i, printed);
      second(out, block, i, printed);
    };
  }
  return (out, block, i, printed) => {
    for (const write of writers) write(out, block, i, printed);
  };
}

function writeJson(out: OutputBuffer, block: RecordBlock, i: number): void {
  const json = encodeRecord({
    topic: block.topic,
    partition: block.partition,
    offset: block.offsets[i] as number,
    timestamp: block.timestamp(i),
    key: block.key(i),
    value: block.value(i),
    headers: block.headers(i).map(({ name, value }) => ({ key: name, value })),
  });
  out.text(json);
  out.text("\n");
}

function recordVerb(verb: string, argument: string | null, format: string): RecordWriter {
  switch (verb) {
    case "t":
      return text(argument, format, (block) => [Buffer.from(block.topic), 0, Buffer.byteLength(block.topic)]);
    case "k":
      return argument === null
        ? copyKey
        : text(argument, format, (block, i) => place(block, block.keyStarts, block.keyLengths, i));
    case "v":
      return argument === null
        ? copyValue
        : text(argument, format, (block, i) => place(block, block.valueStarts, block.valueLengths, i));
    case "p":
      return number(argument, format, (block) => block.partition);
    case "o":
      return number(argument, format, (block, i) => block.offsets[i] as number);
    case "e":
      return number(argument, format, (block) => block.leaderEpoch);
    case "K":
      return number(argument, format, (block, i) => block.keyLengths[i] as number);
    case "V":
      return number(argument, format, (block, i) => block.valueLengths[i] as number);
    case "H":
      return number(argument, format, (block, i) => block.headerCounts[i] as number);
    case "i": {
      const write = numberWriter(argument, format);
      return (out, _block, _i, printed) => write(out, printed);
    }
    case "T":
    case "d": {
      const write = timestampWriter(argument, format);
      return (out, block, i) => write(out, block.timestamp(i));
    }
    case "h":
      return headers(argument, format);
    default:
      throw new LogagentError(
        "USAGE",
        `reading format "${format}": %${verb} is unknown; verbs are %t %p %o %k %v %K %V %T %e %h %H %i %%`,
      );
  }
}

function literal(bytes: Buffer): RecordWriter {
  if (bytes.length === 1) {
    const byte = bytes[0] as number;
    return (out) => {
      out.reserve(1);
      out.bytes[out.length++] = byte;
    };
  }
  return (out) => out.copy(bytes, 0, bytes.length);
}

function copyValue(out: OutputBuffer, block: RecordBlock, i: number): void {
  const length = block.valueLengths[i] as number;
  const start = block.valueStarts[i] as number;
  if (length > 0) out.copy(block.bytes, start, start + length);
}

function copyKey(out: OutputBuffer, block: RecordBlock, i: number): void {
  const length = block.keyLengths[i] as number;
  const start = block.keyStarts[i] as number;
  if (length > 0) out.copy(block.bytes, start, start + length);
}

type Place = [bytes: Buffer, from: number, to: number];

function place(block: RecordBlock, starts: Int32Array, lengths: Int32Array, i: number): Place | null {
  const length = lengths[i] as number;
  const start = starts[i] as number;
  return length < 0 ? null : [block.bytes, start, start + length];
}

function text(
  argument: string | null,
  format: string,
  at: (block: RecordBlock, i: number) => Place | null,
): RecordWriter {
  const write: TextWriter = textWriter(argument, format);
  return (out, block, i) => {
    const found = at(block, i);
    if (found) write(out, ...found);
  };
}

function number(argument: string | null, format: string, of: (block: RecordBlock, i: number) => number): RecordWriter {
  const write: NumberWriter = numberWriter(argument, format);
  return (out, block, i) => write(out, of(block, i));
}

type HeaderWriter = (out: OutputBuffer, header: RecordHeader) => void;

function headers(inner: string | null, format: string): RecordWriter {
  if (inner === null) {
    const write = headerFormat("%k=%v", format);
    return (out, block, i) => {
      block.headers(i).forEach((header, at) => {
        if (at > 0) out.text(",");
        write(out, header);
      });
    };
  }
  const write = headerFormat(inner, format);
  return (out, block, i) => {
    for (const header of block.headers(i)) write(out, header);
  };
}

function headerFormat(inner: string, format: string): HeaderWriter {
  const writers = parseFormat(inner).map((part): HeaderWriter => {
    if (typeof part === "string") {
      const bytes = unescapeText(part);
      return (out) => out.copy(bytes, 0, bytes.length);
    }
    if (part.verb === "K" || part.verb === "V") {
      const write = numberWriter(part.argument, format);
      return (out, { name, value }) => write(out, part.verb === "K" ? name.length : (value?.length ?? -1));
    }
    if (part.verb !== "k" && part.verb !== "v") {
      throw new LogagentError("USAGE", `reading format "${format}": inside %h{…} are %k %v %K %V; got %${part.verb}`);
    }
    const write = textWriter(part.argument, format);
    return (out, { name, value }) => {
      const bytes = part.verb === "k" ? name : value;
      if (bytes) write(out, bytes, 0, bytes.length);
    };
  });
  return (out, header) => {
    for (const write of writers) write(out, header);
  };
}

/** `\n`, `\x00` and so on. Throws LogagentError USAGE on an unknown escape. */
export function unescapeText(textWithEscapes: string): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (const match of textWithEscapes.matchAll(/\\(x[0-9A-Fa-f]{2}|.|$)/gs)) {
    const name = match[1] as string;
    const simple = { n: 10, t: 9, r: 13, 0: 0, "\\": 92 }[name];
    const byte = simple ?? (name.length === 3 ? Number.parseInt(name.slice(1), 16) : undefined);
    if (byte === undefined) {
      throw new LogagentError(
        "USAGE",
        `reading "${textWithEscapes}": \\${name} is unknown; escapes are \\n \\t \\r \\0 \\\\ \\xNN`,
      );
    }
    parts.push(Buffer.from(textWithEscapes.slice(from, match.index)), Buffer.from([byte]));
    from = match.index + match[0].length;
  }
  parts.push(Buffer.from(textWithEscapes.slice(from)));
  return Buffer.concat(parts);
}
