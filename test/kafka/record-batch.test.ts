/** The encoder alone: format, splits, sequences, partitions, against the decoder and against Java's own vectors. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Codec } from "../../src/kafka/compression/codec.ts";
import { keyPartition, murmur2 } from "../../src/kafka/producer/murmur2.ts";
import { HEADROOM, RecordBatch } from "../../src/kafka/producer/producer-batch.ts";
import { decrementSequence, incrementSequence } from "../../src/kafka/producer/sequence.ts";
import type { Header } from "../../src/kafka/producer/sink.ts";
import { splitBatch } from "../../src/kafka/producer/split-batch.ts";
import { BufferPool } from "../../src/kafka/record/buffer-pool.ts";
import { encodeHeaders, encodeKey } from "../../src/kafka/record/record-encoding.ts";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { linesOf } from "./producing.ts";

interface TestRecord {
  key: Uint8Array | null;
  value: Uint8Array | null;
  headers: Header[];
  timestamp: number | bigint;
}

const bytes = (max: number) => fc.uint8Array({ maxLength: max });
const record: fc.Arbitrary<TestRecord> = fc.record({
  key: fc.option(bytes(70), { nil: null }),
  value: fc.option(fc.oneof(bytes(300), bytes(9_000)), { nil: null }),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 70 }), value: fc.option(bytes(200), { nil: null }) }), {
    maxLength: 4,
  }),
  timestamp: fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 0, max: 2 ** 52 })),
});

const pool = new BufferPool(HEADROOM + 65_536, 1 << 20);

function batchOf(records: readonly TestRecord[]): RecordBatch {
  const batch = new RecordBatch("t", 3, pool, 0);
  for (const { key, value, headers, timestamp } of records) {
    const parts = [encodeKey(key), encodeHeaders(headers)] as const;
    if (value === null) batch.appendRecord(parts[0], null, parts[1], timestamp, 1 << 30);
    else batch.appendRun(linesOf([value]), 0, 1, parts[0], parts[1], timestamp, 1 << 30);
  }
  return batch;
}

function decoded(batch: RecordBatch): TestRecord[] {
  const set = Buffer.from(batch.frame.subarray(HEADROOM));
  const options = { topic: "t", partition: 3, offset: 0, from: 0, to: Number.POSITIVE_INFINITY, aborted: null };
  const reader = new RecordSetReader(set, options as never);
  const records: TestRecord[] = [];
  for (let block = reader.next(); block; block = reader.next()) {
    for (let i = 0; i < block.count; i++) {
      const [key, value] = [block.key(i), block.value(i)];
      records.push({
        key: key && new Uint8Array(key),
        value: value && new Uint8Array(value),
        headers: block.headers(i).map((h) => ({ key: h.name.toString(), value: h.value && new Uint8Array(h.value) })),
        timestamp: block.timestamp(i),
      });
    }
  }
  return records;
}

const stamp = { id: 4711n, epoch: 3, transactional: false };

test("every int64 is a timestamp: what is encoded is decoded, in one batch and in its halves", () => {
  const long = fc
    .oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 2n ** 53n - 1n, 2n ** 52n, -(2n ** 53n), -1n, 0n),
      fc.constantFrom(1_764_093_000_123_456_789n, 1_764_093_000_123n),
    )
    .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value));
  const timed = fc.tuple(record, long).map(([rest, timestamp]) => ({ ...rest, timestamp }));
  fc.assert(
    fc.property(fc.array(timed, { minLength: 2, maxLength: 20 }), (records) => {
      const batch = batchOf(records);
      batch.stamp(stamp, 17);
      expect(decoded(batch).map(exactTimes)).toEqual(records.map(exactTimes));
      const halves = splitBatch(batch, incrementSequence);
      for (const half of halves) half.stamp(stamp, half.sequence);
      expect(halves.flatMap(decoded).map(exactTimes)).toEqual(records.map(exactTimes));
      for (const half of halves) half.free();
    }),
    { numRuns: 300 },
  );
});

const exactTimes = (record: TestRecord) => ({ ...record, timestamp: BigInt(record.timestamp) });

test("what is encoded is decoded, with every codec", () => {
  const codec = fc.constantFrom<Codec>("none", "gzip", "snappy", "lz4", "zstd");
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 40 }), codec, (records, codec) => {
      const batch = batchOf(records);
      batch.compress(codec);
      batch.stamp(stamp, 17);
      expect(decoded(batch)).toEqual(records);
      batch.free();
    }),
    { numRuns: 300 },
  );
});

test("a split keeps records, order, ranges and the contiguity of sequences", () => {
  const codec = fc.constantFrom<Codec>("none", "zstd");
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.array(record, { minLength: 2, maxLength: 40 }), sizes, codec, (records, sizes, codec) => {
      const batch = batchOf(records);
      let left = records.length;
      const ranges = sizes.map((size, i) => {
        const count = i === sizes.length - 1 ? left : Math.min(size, left);
        left -= count;
        const range = { file: 1, from: i, to: i + 1, pending: 0, open: false };
        batch.addRange(range, count);
        return { range, count };
      });
      batch.compress(codec);
      batch.stamp(stamp, 2 ** 31 - 3);
      const halves = splitBatch(batch, incrementSequence);
      for (const half of halves) half.stamp(stamp, half.sequence);
      expect([...decoded(halves[0]), ...decoded(halves[1])]).toEqual(records);
      expect(halves[0].sequence).toBe(2 ** 31 - 3);
      expect(halves[1].sequence).toBe(incrementSequence(2 ** 31 - 3, halves[0].count));
      for (const { range, count } of ranges) {
        const holders = halves.filter((half) => half.ranges.includes(range));
        const counts = holders.map((half) => half.rangeCounts[half.ranges.indexOf(range)] as number);
        expect(range.pending).toBe(holders.length);
        expect(counts.reduce((a, b) => a + b, 0)).toBe(count);
      }
      for (const half of halves) half.free();
    }),
    { numRuns: 200 },
  );
});

test("sequences wrap as Java's do: after 2^31 - 1 comes 0", () => {
  expect(incrementSequence(2 ** 31 - 1, 1)).toBe(0);
  expect(incrementSequence(2 ** 31 - 5, 10)).toBe(5);
  expect(incrementSequence(2 ** 31 - 5, 4)).toBe(2 ** 31 - 1);
  // A billion records in batches of 9,973: the sequence is the record's number modulo 2^31, wherever it starts.
  let sequence = 2 ** 31 - 500_000_000;
  for (let sent = 0; sent < 1_000_000_000; sent += 9_973) {
    expect(sequence).toBe((2 ** 31 - 500_000_000 + sent) % 2 ** 31);
    const next = incrementSequence(sequence, 9_973);
    expect(decrementSequence(next, 9_973)).toBe(sequence);
    sequence = next;
  }
});

test("murmur2 gives Java's values", () => {
  // org.apache.kafka.common.utils.UtilsTest#testMurmur2
  const vectors: [string, number][] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  for (const [text, value] of vectors) expect(murmur2(Buffer.from(text))).toBe(value);
  expect(keyPartition(Buffer.from("21"), 7)).toBe((-973932308 & 0x7fffffff) % 7);
});
