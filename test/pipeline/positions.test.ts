import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Route } from "../../src/kafka/producer/sink.ts";
import type { Lines } from "../../src/lines.ts";
import { Positions } from "../../src/pipeline/checkpoint/positions.ts";
import { MemorySink } from "./memory-sink.ts";

/** Lengths of lines; 0 is a stretch of skipped bytes between two records. */
const chunk = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 });

test("a position never passes a byte that is not settled, and reaches the end once all are", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ file: fc.integer({ min: 1, max: 3 }), lengths: chunk, skipped: fc.nat(5), gap: fc.nat(3) }),
        { maxLength: 25 },
      ),
      fc.array(fc.nat(1000), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 4 }),
      (chunks, picks, recordsPerBatch) => {
        const sink = new MemorySink();
        sink.recordsPerBatch = recordsPerBatch;
        const positions = new Positions();
        const told = new Map<number, number>();
        const owner = { settled: (file: number, position: number) => void told.set(file, position) };
        const unsettled = new Map<number, Set<number>>();
        const ends = new Map<number, number>();
        let pick = 0;
        const random = () => picks[pick++ % picks.length]!;
        sink.choose = () => random() % 3;
        sink.onSettled((batch) => positions.settleRanges(batch.ranges));
        const settleOne = () => {
          const index = random() % Math.max(1, sink.closed.length);
          for (const value of sink.closed[index]?.values ?? []) {
            const [file, at] = value.split(":").map(Number);
            unsettled.get(file!)!.delete(at!);
          }
          sink.settle(index);
        };
        const check = () => {
          for (const [file, position] of told) {
            const first = Math.min(ends.get(file)!, ...(unsettled.get(file) ?? []));
            expect(position).toBeLessThanOrEqual(first);
          }
        };
        for (const { file, lengths, skipped, gap } of chunks) {
          const base = (ends.get(file) ?? 0) + (ends.has(file) ? gap : 0);
          const lines = makeLines(file, base, lengths, skipped);
          ends.set(file, lines.to);
          const waiting = unsettled.get(file) ?? new Set();
          unsettled.set(file, waiting);
          for (let i = 0; i < lines.count; i++) waiting.add(base + (i === 0 ? 0 : lines.nexts[i - 1]!));
          positions.handOut(lines, owner);
          if (lines.count > 0) sink.append(lines, {} as Route);
          check();
          if (random() % 2 === 0) settleOne();
          check();
        }
        sink.closeOpen();
        while (sink.closed.length > 0) {
          settleOne();
          check();
        }
        expect(positions.allIdle).toBe(true);
        expect(positions.isIdle(owner)).toBe(true);
        for (const [file, end] of ends) if (told.has(file)) expect(told.get(file)).toBe(end);
      },
    ),
    { numRuns: 500 },
  );
});

/** Values are `file:position`. */
function makeLines(file: number, base: number, lengths: number[], skipped: number): Lines {
  let text = "";
  let at = 0;
  const starts: number[] = [];
  const ends: number[] = [];
  const nexts: number[] = [];
  for (const length of lengths) {
    starts.push(text.length);
    text += `${file}:${base + at}`;
    ends.push(text.length);
    at += length;
    nexts.push(at);
  }
  return {
    file,
    base,
    to: base + at + skipped,
    bytes: Buffer.from(text),
    starts: Uint32Array.from(starts),
    ends: Uint32Array.from(ends),
    nexts: Uint32Array.from(nexts),
    count: lengths.length,
    lineNumber: 1,
  };
}
