import { expect, test } from "bun:test";
import { Reader, Writer } from "../../src/kafka/protocol/wire.ts";

test("what is written reads back, wherever the buffer has to grow", () => {
  const long = "x".repeat(300);
  for (let room = 1; room < 1500; room++) {
    const writer = new Writer(room);
    writer.uvarint(0xffff_ffff).compactString(long).string(null).compactString(null).string(long);
    writer.int8(-1).int16(-2).int32(-3).int64(-4n).boolean(true).noTags();
    writer.compactArray([1, 2], (item) => writer.int32(item)).bytes(Buffer.from("b"));
    const reader = new Reader(writer.finish());
    const read = [
      reader.uvarint(),
      reader.compactString(),
      reader.nullableString(),
      reader.compactNullableString(),
      reader.string(),
    ];
    expect(read, `${room} bytes at first`).toEqual([0xffff_ffff, long, null, null, long]);
    expect([reader.int8(), reader.int16(), reader.int32(), reader.int64()]).toEqual([-1, -2, -3, -4n]);
    expect(reader.boolean()).toBe(true);
    reader.skipTags();
    expect(reader.compactArray(() => reader.int32())).toEqual([1, 2]);
    expect(reader.nullableBytes()?.toString()).toBe("b");
    expect(reader.remaining).toBe(0);
  }
});

test("a response that ends too early is told, with no array made for what is not there", () => {
  for (const read of [
    (reader: Reader) => reader.int32(),
    (reader: Reader) => reader.raw(-1),
    (reader: Reader) => new Reader(Buffer.from([0x7f, 0xff, 0xff, 0xff])).array(() => reader.int8()),
    () => new Reader(Buffer.alloc(9, 0xff)).uvarint(),
    () => new Reader(Buffer.from([0x80])).uvarint(),
    () => new Reader(Buffer.from([0, 5, 65])).string(),
  ]) {
    expect(() => read(new Reader(Buffer.from([1, 2, 3])))).toThrow(/^reading .* (only|longer than)/);
  }
});
