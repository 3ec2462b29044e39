import { describe, expect, test } from "bun:test";
import { constants, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { CompressionError, codecs, compress, decompress } from "../../src/kafka/compression/codec.ts";
import { decompressBlock } from "../../src/kafka/compression/lz4-block.ts";
import { xxhash32 } from "../../src/kafka/compression/xxhash32.ts";
import { zstdFramesFault } from "../../src/kafka/compression/zstd-frames.ts";

const limit = 4_000_000;
/** Repeats at all distances, and noise between. */
const data = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.nat(400)), { maxLength: 30 })
  .map((parts) => Buffer.concat(parts.flatMap(([bytes, times]) => Array<Uint8Array>(times).fill(bytes))));

for (const codec of codecs) {
  describe(codec, () => {
    test("what is compressed comes back", () => {
      fc.assert(
        fc.property(data, (bytes) => {
          expect(Buffer.compare(Buffer.from(decompress(codec, compress(codec, bytes), limit)), bytes)).toBe(0);
        }),
        { numRuns: 120 },
      );
      for (const size of [0, 1, 12, 13, 65_535, 65_536, 65_537, 262_145, 1_500_000]) {
        const noise = crypto.getRandomValues(new Uint8Array(Math.min(size, 65_536)));
        const bytes = Buffer.concat([noise, Buffer.alloc(size - noise.length, 7)]);
        expect(Buffer.compare(Buffer.from(decompress(codec, compress(codec, bytes), limit)), bytes)).toBe(0);
      }
    }, 30_000);

    if (codec === "none") return;

    test("damaged and cut bytes: a result within the limit or CompressionError", () => {
      fc.assert(
        fc.property(
          data,
          fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }),
          fc.nat(),
          (bytes, changes, cut) => {
            const packed = Buffer.from(compress(codec, bytes));
            for (const [at, byte] of changes) packed[at % packed.length] = byte;
            const some = cut % 2 ? packed.subarray(0, cut % packed.length) : packed;
            try {
              expect(decompress(codec, some, 100_000).length).toBeLessThanOrEqual(100_000);
            } catch (error) {
              expect(error).toBeInstanceOf(CompressionError);
            }
          },
        ),
        { numRuns: 400 },
      );
    }, 30_000);

    // Snappy's framed streams have no end mark: what is cut off between two blocks is a shorter stream.
    if (codec !== "snappy") {
      test("a stream that is cut off anywhere is an error", () => {
        const noise = crypto.getRandomValues(new Uint8Array(300));
        const packed = Buffer.from(compress(codec, Buffer.concat([noise, Buffer.alloc(300_000, "ab"), noise])));
        for (let length = 0; length < packed.length; length++) {
          expect(() => decompress(codec, packed.subarray(0, length), limit)).toThrow(CompressionError);
        }
      });
    }

    test("the result's limit holds to the byte", () => {
      const packed = compress(codec, Buffer.alloc(1_000_000, "ab"));
      expect(decompress(codec, packed, 1_000_000).length).toBe(1_000_000);
      expect(() => decompress(codec, packed, 999_999)).toThrow(CompressionError);
    });
  });
}

test("a size that a stream claims is no more than a hint: several gzip members, wrong sizes", () => {
  const text = Buffer.alloc(700_000, "a line of a log\n");
  const members = Buffer.concat([compress("gzip", text), compress("gzip", Buffer.from("end"))]);
  expect(
    Buffer.compare(Buffer.from(decompress("gzip", members, limit)), Buffer.concat([text, Buffer.from("end")])),
  ).toBe(0);
  for (const claim of [0, 1, 2 ** 32 - 1]) {
    const packed = Buffer.from(compress("gzip", text));
    packed.writeUInt32LE(claim, packed.length - 4);
    expect(() => decompress("gzip", packed, limit)).toThrow(CompressionError);
  }
});

test("zstd frames of every shape: with and without sizes and checksums, several, skippable ones between", () => {
  const text = Buffer.alloc(400_000, "a line of a log\n");
  const shapes = [0, 1].flatMap((checksum) =>
    [0, 1].map((size) =>
      zstdCompressSync(text, {
        params: { [constants.ZSTD_c_checksumFlag]: checksum, [constants.ZSTD_c_contentSizeFlag]: size },
      }),
    ),
  );
  const skippable = Buffer.from("502a4d1803000000aabbcc", "hex");
  for (const shape of shapes) expect(zstdFramesFault(shape)).toBeNull();
  for (const small of [0, 1, 255, 256, 70_000]) {
    expect(zstdFramesFault(zstdCompressSync(text.subarray(0, small)))).toBeNull();
  }
  const all = Buffer.concat([...shapes, skippable, ...shapes]);
  expect(zstdFramesFault(all)).toBeNull();
  const ends = new Set<number>();
  let end = 0;
  for (const { length } of [...shapes, skippable, ...shapes]) {
    end += length;
    ends.add(end);
  }
  for (let length = 1; length < all.length; length++) {
    expect(zstdFramesFault(all.subarray(0, length)) === null).toBe(ends.has(length));
  }
});

test("xxHash32 gives the values of its specification", () => {
  expect(xxhash32(Buffer.from(""))).toBe(0x02cc5d05);
  expect(xxhash32(Buffer.from("abc"))).toBe(0x32d153ff);
  expect(xxhash32(Buffer.from("Nobody inspects the spammish repetition"))).toBe(0xe2293b2f);
});

test("a match or copy that points before the beginning is damage", () => {
  // One literal, then a match 2 bytes back; the same as a raw snappy block.
  const block = Buffer.from([0x10, 0x41, 0x02, 0x00, 0x50, 1, 2, 3, 4, 5]);
  expect(() => decompressBlock(block, 0, block.length, Buffer.alloc(50), 0, 50, 0)).toThrow("points 2 bytes back");
  expect(() => decompress("snappy", Buffer.from([0x05, 0x00, 0x41, 0x01, 0x02]), 50)).toThrow("points 2 bytes back");
});

test("levels hold from one batch to the next", () => {
  const words = Array.from({ length: 500 }, (_, i) => (Math.imul(i + 1, 2_654_435_761) >>> 0).toString(36));
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => words[(i * i + 7 * (i >> 3)) % 500]).join(" "));
  for (const codec of ["gzip", "zstd"] as const) {
    const [fast, small] = codec === "gzip" ? [1, 9] : [1, 19];
    const sizes = [fast, small, fast, small, undefined].map((level) => compress(codec, text, level).length);
    expect(sizes.slice(2, 4)).toEqual(sizes.slice(0, 2));
    expect(sizes[1]).toBeLessThan(sizes[0] as number);
    expect(compress(codec, text).length).toBe(compress(codec, text, codec === "gzip" ? 1 : 3).length);
  }
});

test("damage in one batch is none in the next", () => {
  const text = Buffer.alloc(100_000, "a line of a log\n");
  for (const codec of ["gzip", "zstd"] as const) {
    const packed = compress(codec, text);
    expect(() => decompress(codec, packed.subarray(0, packed.length - 9), limit)).toThrow(CompressionError);
    expect(() => decompress(codec, Buffer.alloc(200, 0x55), limit)).toThrow(CompressionError);
    expect(() => decompress(codec, packed, 99_999)).toThrow(/longer than 99999 bytes/);
    expect(Buffer.compare(Buffer.from(decompress(codec, packed, limit)), text)).toBe(0);
  }
});
