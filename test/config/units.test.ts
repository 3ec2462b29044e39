import { describe, expect, test } from "bun:test";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../src/config/units.ts";

describe("durations", () => {
  test.each([
    ["0", 0],
    ["250ms", 250],
    ["10s", 10_000],
    ["1.5m", 90_000],
    ["12h", 43_200_000],
    ["7d", 604_800_000],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "5", "ms", "-1s", "1 hour", "1e3s", "NaNs"])("%p is refused, with the rule", (text) => {
    expect(() => parseDuration(text)).toThrow(`"${text}" must be a number with ms, s, m, h or d`);
  });

  test("are written as they were read", () => {
    for (const text of ["0", "250ms", "10s", "5m", "12h", "7d"]) expect(formatDuration(parseDuration(text))).toBe(text);
  });
});

describe("sizes", () => {
  test.each([
    ["4096", 4096],
    ["16MB", 16_000_000],
    ["1MiB", 1_048_576],
    ["1 mib", 1_048_576],
    ["64k", 65_536],
    ["1.5KB", 1500],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  test.each(["", "MB", "-1", "10XB", "1.2.3MB"])("%p is refused", (text) => {
    expect(() => parseSize(text)).toThrow(`"${text}" must be bytes`);
  });

  test("are written as they were read", () => {
    for (const text of ["1", "16MB", "32MiB", "1KiB"]) expect(formatSize(parseSize(text))).toBe(text);
  });
});
