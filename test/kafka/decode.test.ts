import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { codecs } from "../../src/kafka/compression/codec.ts";
import { offsetBehind } from "../../src/kafka/record/decode-batch.ts";
import { DecodeError, type DecodeOptions, RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { controlBatch, encodeBatch, type PlainRecord, seal } from "./batches.ts";

const all: DecodeOptions = { topic: "t", partition: 3, from: 0, to: Number.POSITIVE_INFINITY, aborted: null };

function decodeAll(bytes: Buffer, options: Partial<DecodeOptions> = {}) {
  const reader = new RecordSetReader(bytes, { ...all, ...options });
  const found: (PlainRecord & { offset: number })[] = [];
  for (let block = reader.next(); block; block = reader.next()) {
    for (let i = 0; i < block.count; i++) {
      found.push({
        offset: block.offsets[i]!,
        timestamp: block.timestamps[i]!,
        key: copy(block.key(i)),
        value: copy(block.value(i)),
        headers: block.headers(i).map(({ name, value }) => ({ name: Buffer.from(name), value: copy(value) })),
      });
    }
  }
  return { found, position: reader.position };
}

const copy = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes));
const text = (value: string): PlainRecord => ({ key: null, value: Buffer.from(value), headers: [], timestamp: 5 });
const values = (result: ReturnType<typeof decodeAll>) => result.found.map(({ value }) => String(value));

const blob = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 60, maxLength: 300 }),
  fc.integer({ min: 0, max: 70_000 }).map((length) => new Uint8Array(length).fill(length & 0xff)),
);
const record: fc.Arbitrary<PlainRecord> = fc.record({
  key: fc.option(blob),
  value: fc.option(blob),
  headers: fc.array(fc.record({ name: fc.uint8Array({ maxLength: 20 }), value: fc.option(blob) }), { maxLength: 4 }),
  timestamp: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: 8_640_000_000_000_000 })),
});
const batch = fc.record({
  codec: fc.constantFrom(...codecs),
  records: fc.array(record, { minLength: 1, maxLength: 20 }),
});

describe("record batches", () => {
  test("random records of every codec come back as they were", () => {
    fc.assert(
      fc.property(fc.array(batch, { minLength: 1, maxLength: 4 }), (batches) => {
        let offset = 7;
        const expected: object[] = [];
        const encoded = batches.map(({ codec, records }) => {
          const bytes = encodeBatch({ baseOffset: offset, codec, records });
          for (const item of records) {
            const headers = item.headers.map(({ name, value }) => ({ name: Buffer.from(name), value: copy(value) }));
            expected.push({ ...item, key: copy(item.key), value: copy(item.value), headers, offset: offset++ });
          }
          return bytes;
        });
        const bytes = Buffer.concat(encoded);
        const { found, position } = decodeAll(bytes);
        expect(found).toEqual(expected as never);
        expect(position).toBe(offset);
        expect(offsetBehind(bytes, 0)).toBe(offset);
      }),
      { numRuns: 150 },
    );
  }, 30_000);

  test("a batch that is cut off ends the set without an error, wherever it is cut", () => {
    const first = encodeBatch({ baseOffset: 0, records: [text("a"), text("b")] });
    const both = Buffer.concat([first, encodeBatch({ baseOffset: 2, records: [text("c")] })]);
    for (let length = first.length; length < both.length; length++) {
      const cut = both.subarray(0, length);
      const result = decodeAll(cut);
      expect([values(result), result.position, offsetBehind(cut, 0)]).toEqual([["a", "b"], 2, 2]);
    }
  });

  test("offsets outside the wanted range are left out; gaps of compaction are stepped over", () => {
    const records = [0, 2, 5].map((offsetDelta) => ({ ...text(`r${offsetDelta}`), offsetDelta }));
    const bytes = encodeBatch({ baseOffset: 10, lastOffsetDelta: 9, records });
    expect(decodeAll(bytes)).toMatchObject({ position: 20, found: [{ offset: 10 }, { offset: 12 }, { offset: 15 }] });
    expect(values(decodeAll(bytes, { from: 11, to: 15 }))).toEqual(["r2"]);
    expect(decodeAll(bytes, { from: 11, to: 15 }).position).toBe(15);
    const emptied = encodeBatch({ baseOffset: 20, lastOffsetDelta: 4, records: [] });
    expect(decodeAll(emptied, { from: 20 })).toEqual({ found: [], position: 25 });
  });

  test("with the broker's time every record has the batch's timestamp", () => {
    const bytes = encodeBatch({
      baseOffset: 0,
      records: [text("a"), text("b")],
      logAppendTime: true,
      maxTimestamp: 99,
    });
    expect(decodeAll(bytes).found.map(({ timestamp }) => timestamp)).toEqual([99, 99]);
  });

  test("markers are no records; an aborted transaction is hidden from read-committed only", () => {
    const transactional = (baseOffset: number, producerId: bigint, value: string) =>
      encodeBatch({ baseOffset, producerId, transactional: true, records: [text(value)] });
    const bytes = Buffer.concat([
      transactional(0, 1n, "aborted"),
      transactional(1, 2n, "committed"),
      encodeBatch({ baseOffset: 2, records: [text("plain")] }),
      controlBatch(3, 1n, "abort"),
      transactional(4, 1n, "later"),
      controlBatch(5, 2n, "commit"),
      controlBatch(6, 1n, "commit"),
    ]);
    const aborted = [{ producerId: 1n, firstOffset: 0 }];
    expect(values(decodeAll(bytes, { aborted }))).toEqual(["committed", "plain", "later"]);
    expect(decodeAll(bytes, { aborted }).position).toBe(7);
    expect(values(decodeAll(bytes))).toEqual(["aborted", "committed", "plain", "later"]);
  });
});

describe("damage", () => {
  test("any changed byte behind the length is found by the checksum", () => {
    const bytes = encodeBatch({ baseOffset: 4, records: [text("hello"), text("world")] });
    for (let at = 17; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x10;
      expect(() => decodeAll(damaged, { from: 4 })).toThrow(/reading t\/3 at offset 4: the batch's checksum/);
    }
  });

  test("with a right checksum over damaged bytes: records, an end, or DecodeError; never anything else", () => {
    fc.assert(
      fc.property(
        batch,
        fc.array(fc.record({ at: fc.nat(), byte: fc.nat(255) }), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        ({ codec, records }, changes, cut) => {
          const bytes = encodeBatch({ baseOffset: 0, codec, records });
          for (const { at, byte } of changes) bytes[21 + (at % (bytes.length - 21))] = byte;
          seal(bytes);
          const some = cut % 3 === 0 ? seal(shorten(bytes, cut)) : bytes;
          try {
            decodeAll(some, { aborted: [], limit: 1 << 20 });
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        },
      ),
      { numRuns: 1500 },
    );
  }, 60_000);

  test("random bytes: an end or DecodeError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, isBatch) => {
        const buffer = Buffer.from(bytes);
        if (isBatch && buffer.length > 61) {
          buffer[16] = 2;
          buffer.writeInt32BE(buffer.length - 12, 8);
          seal(buffer);
        }
        try {
          decodeAll(buffer, { from: -(2 ** 62) });
          offsetBehind(buffer, 0);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("claims that memory would have to pay for are refused", () => {
    const bytes = encodeBatch({ baseOffset: 0, records: [text("x")] });
    bytes.writeInt32BE(0x7fffffff, 57);
    expect(() => decodeAll(seal(bytes))).toThrow(/claims 2147483647 records/);
    const bomb = [{ ...text(""), value: Buffer.alloc(3_000_000) }];
    for (const codec of codecs.slice(1)) {
      const packed = encodeBatch({ baseOffset: 8, codec, records: bomb });
      expect(() => decodeAll(packed, { limit: 1_000_000 })).toThrow(/at offset 8: decompressing/);
    }
  });

  test("message formats v0 and v1 and unknown codecs are refused by name", () => {
    for (const magic of [0, 1]) {
      const bytes = encodeBatch({ baseOffset: 0, records: [text("x")] });
      bytes[16] = magic;
      expect(() => decodeAll(bytes)).toThrow(`record format ${magic} is messages before Kafka 0.11`);
    }
    const unknown = encodeBatch({ baseOffset: 0, records: [text("x")] });
    unknown[22] = 5;
    expect(() => decodeAll(seal(unknown))).toThrow("compression codec 5 is unknown");
  });
});

/** The batch cut to a shorter one whose length field is right. */
function shorten(bytes: Buffer, by: number): Buffer {
  const length = 61 + (by % (bytes.length - 60));
  const cut = Buffer.from(bytes.subarray(0, length));
  cut.writeInt32BE(length - 12, 8);
  return cut;
}
