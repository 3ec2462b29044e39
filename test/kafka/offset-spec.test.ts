import { describe, expect, test } from "bun:test";
import { parseOffsets } from "../../src/kafka/consumer/offset-range.ts";

const now = Date.parse("2026-01-10T12:00:00Z");
const start = { kind: "start", plus: 0 };
const end = { kind: "end", minus: 0 };
const exact = (offset: number) => ({ kind: "exact", offset });
const time = (iso: string) => ({ kind: "time", time: Date.parse(iso) });

const cases: [text: string, from: object, to: object | null][] = [
  ["start", start, null],
  ["end", end, null],
  ["5", exact(5), null],
  ["5:", exact(5), null],
  [":5", start, exact(5)],
  ["5:9", exact(5), exact(9)],
  ["5:end", exact(5), end],
  [":end", start, end],
  ["start:end", start, end],
  ["+10", { kind: "start", plus: 10 }, null],
  ["-10", { kind: "end", minus: 10 }, null],
  ["-10:end", { kind: "end", minus: 10 }, end],
  ["@1700000000000", time("2023-11-14T22:13:20Z"), null],
  ["@1700000000", time("2023-11-14T22:13:20Z"), null],
  ["@2026-01-09", time("2026-01-09T00:00:00Z"), null],
  ["@2026-01-09T10:11:12.5Z", time("2026-01-09T10:11:12.500Z"), null],
  ["@2026-01-09T10:11:12+02:00", time("2026-01-09T08:11:12Z"), null],
  ["@2026-01-09T10:00:00Z:2026-01-09T11:00:00Z", time("2026-01-09T10:00:00Z"), time("2026-01-09T11:00:00Z")],
  ["@2026-01-09:1h30m", time("2026-01-09T00:00:00Z"), time("2026-01-09T01:30:00Z")],
  ["@-1h", time("2026-01-10T11:00:00Z"), null],
  ["@-1h:end", time("2026-01-10T11:00:00Z"), end],
  ["@-2h:-1h", time("2026-01-10T10:00:00Z"), time("2026-01-10T11:00:00Z")],
  ["@:-1h", start, time("2026-01-10T11:00:00Z")],
];

describe("offsets", () => {
  for (const [text, from, to] of cases) {
    test(text, () => expect(parseOffsets(text, now)).toEqual({ from, to } as never));
  }
  for (const text of ["", ":", "x", "1:2:3", "5:+3", "@", "@:", "@x", "@2026-13-01", "1.5", "--5", "9:5", "@-1h:-2h"]) {
    test(`"${text}" is refused`, () => expect(() => parseOffsets(text, now)).toThrow(/reading offsets/));
  }
});
