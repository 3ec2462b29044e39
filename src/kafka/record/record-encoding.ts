/** Pieces of the record format: keys and headers encoded once for many records, and encoded records read back. */
import { type Int64, int64 } from "./int64.ts";
import { readWideVarlong, varintSize, writeVarint } from "./varint.ts";

export interface Header {
  key: string;
  value: Uint8Array | null;
}

/** The key's length and bytes as they stand in a record. */
export function encodeKey(key: Uint8Array | null): Uint8Array {
  if (key === null) return nullKey;
  const part = new Uint8Array(varintSize(key.length) + key.length);
  part.set(key, writeVarint(part, 0, key.length));
  return part;
}

/** The headers' count, names and values as they stand in a record. */
export function encodeHeaders(headers: readonly Header[]): Uint8Array {
  if (headers.length === 0) return noHeaders;
  const names = headers.map(({ key }) => Buffer.from(key));
  let size = varintSize(headers.length);
  headers.forEach(({ value }, i) => {
    const name = names[i] as Buffer;
    size += varintSize(name.length) + name.length + (value === null ? 1 : varintSize(value.length) + value.length);
  });
  const part = new Uint8Array(size);
  let p = writeVarint(part, 0, headers.length);
  headers.forEach(({ value }, i) => {
    const name = names[i] as Buffer;
    p = writeVarint(part, p, name.length);
    part.set(name, p);
    p += name.length;
    if (value === null) part[p++] = 1;
    else {
      p = writeVarint(part, p, value.length);
      part.set(value, p);
      p += value.length;
    }
  });
  return part;
}

const nullKey = Uint8Array.of(1);
const noHeaders = Uint8Array.of(0);

export interface EncodedRecord {
  timestampDelta: Int64;
  /** Everything behind the offset delta: key, value, headers. */
  rest: Buffer;
}

/** Walks over encoded records of our own making. */
export class RecordReader {
  position = 0;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  next(): EncodedRecord {
    const length = this.varlong();
    const end = this.position + length;
    this.position++;
    const deltaAt = this.position;
    const near = this.varlong();
    const timestampDelta = Number.isSafeInteger(near * 2) ? near : int64(readWideVarlong(this.bytes, deltaAt));
    this.varlong();
    const rest = this.bytes.subarray(this.position, end);
    this.position = end;
    return { timestampDelta, rest };
  }

  private varlong(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.bytes[this.position++] as number;
      value += (byte & 127) * unit;
      if (byte < 128) break;
      unit *= 128;
    }
    return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
  }
}
