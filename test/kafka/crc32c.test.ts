import { expect, test } from "bun:test";
import fc from "fast-check";
import { crc32c } from "../../src/kafka/record/crc32c.ts";
import { Crc32cFold, worthFolding } from "../../src/kafka/record/crc32c-fold.ts";

/** Bit by bit, from the definition. */
function reference(data: Uint8Array): number {
  let register = 0xffffffff;
  for (const byte of data) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++) register = (register >>> 1) ^ (register & 1 ? 0x82f63b78 : 0);
  }
  return ~register >>> 0;
}

test("the examples of RFC 3720, B.4", () => {
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i)))).toBe(0x46dd794e);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
});

const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(65_536)));

test("every length, in one piece and in two, at any alignment", () => {
  const lengths = [0, 1, 15, 16, 63, 64, 65, worthFolding - 1, worthFolding, worthFolding + 1, 36_112, 65_000];
  for (const length of lengths) expect(crc32c(noise, 0, length)).toBe(reference(noise.subarray(0, length)));
  fc.assert(
    fc.property(fc.nat(300), fc.nat(60_000), fc.nat(60_000), (from, length, cut) => {
      const to = from + length;
      const middle = from + Math.min(cut, length);
      const whole = reference(noise.subarray(from, to));
      expect(crc32c(noise, from, to)).toBe(whole);
      expect(crc32c(noise, middle, to, crc32c(noise, from, middle))).toBe(whole);
    }),
    { numRuns: 60 },
  );
});

test("a megabyte, and that any bit of it counts", () => {
  const data = Buffer.concat(Array<Buffer>(17).fill(noise)).subarray(5);
  const whole = reference(data);
  expect(crc32c(data)).toBe(whole);
  fc.assert(
    fc.property(fc.nat(data.length - 1), fc.nat(7), (at, bit) => {
      data[at] = (data[at] as number) ^ (1 << bit);
      expect(crc32c(data)).not.toBe(whole);
      data[at] = (data[at] as number) ^ (1 << bit);
    }),
    { numRuns: 300 },
  );
});

test("long messages are folded here", () => {
  expect(new Crc32cFold().shorten(noise, 0, noise.length, 0) - Crc32cFold.start).toBe(209 * 16);
});
