/**
 * Reading and writing the primitive types of the Kafka protocol, big-endian, classic and flexible (KIP-482):
 * https://kafka.apache.org/protocol.html#protocol_types
 */
import { limits } from "./limits.ts";

/** Builds one request body. Grows as needed; `finish` returns what was written. */
export class Writer {
  private buffer: Buffer;
  private length = 0;

  constructor(initialBytes = 256) {
    this.buffer = Buffer.allocUnsafe(initialBytes);
  }

  private room(bytes: number): number {
    const at = this.length;
    this.length = at + bytes;
    if (this.length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.length, this.buffer.length * 2));
      this.buffer.copy(larger, 0, 0, at);
      this.buffer = larger;
    }
    return at;
  }

  private uint8(value: number): this {
    // Room first: it may put another buffer in the place of this one.
    const at = this.room(1);
    this.buffer[at] = value;
    return this;
  }

  int8(value: number): this {
    const at = this.room(1);
    this.buffer.writeInt8(value, at);
    return this;
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  int16(value: number): this {
    const at = this.room(2);
    this.buffer.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.room(4);
    this.buffer.writeInt32BE(value, at);
    return this;
  }

  int64(value: bigint): this {
    const at = this.room(8);
    this.buffer.writeBigInt64BE(value, at);
    return this;
  }

  float64(value: number): this {
    const at = this.room(8);
    this.buffer.writeDoubleBE(value, at);
    return this;
  }

  /** 16 bytes; null is the zero UUID. */
  uuid(value: Uint8Array | null): this {
    return this.raw(value ?? new Uint8Array(16));
  }

  /** Unsigned base-128 varint of a value below 2^32. */
  uvarint(value: number): this {
    let rest = value >>> 0;
    for (; rest >= 0x80; rest >>>= 7) this.uint8((rest & 0x7f) | 0x80);
    return this.uint8(rest);
  }

  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  /** STRING / NULLABLE_STRING: int16 length, -1 for null. */
  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    return this.int16(bytes.length).raw(bytes);
  }

  /** BYTES / NULLABLE_BYTES: int32 length, -1 for null. */
  bytes(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).raw(value);
  }

  compactString(value: string | null): this {
    if (value === null) return this.uvarint(0);
    const bytes = Buffer.from(value);
    return this.uvarint(bytes.length + 1).raw(bytes);
  }

  array<T>(items: readonly T[] | null, write: (item: T) => void): this {
    this.int32(items === null ? -1 : items.length);
    items?.forEach(write);
    return this;
  }

  compactArray<T>(items: readonly T[] | null, write: (item: T) => void): this {
    this.uvarint(items === null ? 0 : items.length + 1);
    items?.forEach(write);
    return this;
  }

  /** An empty tagged-field section. */
  noTags(): this {
    return this.uvarint(0);
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** What was read cannot be what the protocol says: bytes were lost or the sender is broken. */
export class MalformedError extends Error {
  override readonly name: string = "MalformedError";
}

/** A response or record set ended before the field that was being read. */
export class ShortReadError extends MalformedError {
  override readonly name = "ShortReadError";
}

/** Reads one response body from front to back. Reading past the end throws `ShortReadError`, never returns garbage. */
export class Reader {
  readonly buffer: Buffer;
  position: number;

  constructor(buffer: Buffer, position = 0) {
    this.buffer = buffer;
    this.position = position;
  }

  get remaining(): number {
    return this.buffer.length - this.position;
  }

  private take(bytes: number): number {
    const at = this.position;
    if (bytes < 0 || at + bytes > this.buffer.length) {
      throw new ShortReadError(`reading ${bytes} bytes at ${at}: the response has only ${this.buffer.length} bytes`);
    }
    this.position = at + bytes;
    return at;
  }

  int8(): number {
    return this.buffer.readInt8(this.take(1));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  int16(): number {
    return this.buffer.readInt16BE(this.take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.take(4));
  }

  int64(): bigint {
    return this.buffer.readBigInt64BE(this.take(8));
  }

  /** An int64 that is an offset or a size, and exact as a number. */
  number64(): number {
    const at = this.position;
    const value = Number(this.int64());
    if (Number.isSafeInteger(value)) return value;
    throw new MalformedError(`reading an offset at ${at}: ${value} is none`);
  }

  /** A partition's number. */
  partition(): number {
    const at = this.position;
    const value = this.int32();
    if (value >= 0 && value < limits.partitions) return value;
    throw new MalformedError(`reading a partition at ${at}: ${value} is not between 0 and ${limits.partitions - 1}`);
  }

  /** Milliseconds for which the broker hears nothing (KIP-219). */
  throttleMs(): number {
    return Math.min(Math.max(this.int32(), 0), limits.throttleMs);
  }

  uuid(): Buffer {
    return this.raw(16);
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.buffer[this.take(1)] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new ShortReadError(`reading a varint before ${this.position}: it is longer than 5 bytes`);
  }

  /** A view, not a copy. */
  raw(bytes: number): Buffer {
    const at = this.take(bytes);
    return this.buffer.subarray(at, at + bytes);
  }

  nullableString(): string | null {
    const length = this.int16();
    return length === -1 ? null : this.raw(length).toString("utf8");
  }

  string(): string {
    return this.nullableString() ?? "";
  }

  /** A view, not a copy. */
  nullableBytes(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.raw(length);
  }

  compactNullableString(): string | null {
    const length = this.uvarint();
    return length === 0 ? null : this.raw(length - 1).toString("utf8");
  }

  compactString(): string {
    return this.compactNullableString() ?? "";
  }

  /** A view, not a copy. */
  compactNullableBytes(): Buffer | null {
    const length = this.uvarint();
    return length === 0 ? null : this.raw(length - 1);
  }

  array<T>(read: () => T): T[] {
    return this.items(this.int32(), read);
  }

  compactArray<T>(read: () => T): T[] {
    return this.items(this.uvarint() - 1, read);
  }

  private items<T>(count: number, read: () => T): T[] {
    if (count > this.remaining || count < -1) {
      throw new ShortReadError(`reading ${count} elements at ${this.position}: only ${this.remaining} bytes are left`);
    }
    const items: T[] = [];
    for (let i = 0; i < count; i++) items.push(read());
    return items;
  }

  /** Skips a tagged-field section. */
  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.raw(this.uvarint());
    }
  }
}

/** The answer for the one thing that was asked about. */
export function theOne<T>(answers: readonly T[]): T {
  if (answers.length === 1) return answers[0] as T;
  throw new MalformedError(`reading the answer for one thing: there are ${answers.length}`);
}

/** A broker's address as another broker tells it. */
export function readBroker(reader: Reader, string: () => string): { nodeId: number; host: string; port: number } {
  const broker = { nodeId: reader.int32(), host: string(), port: reader.int32() };
  const { nodeId, host, port } = broker;
  if (/^[^\s[\]/]+$/.test(host) && port > 0 && port < 65_536) return broker;
  throw new MalformedError(`reading the address of broker ${nodeId}: ${JSON.stringify(host)} port ${port} is none`);
}

/** The throttle time, which brokers also enforce by themselves (KIP-219), and the error code, as most responses begin. */
export function errorAfterThrottle(reader: Reader): number {
  reader.int32();
  return reader.int16();
}
