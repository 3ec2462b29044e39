import { sum } from "../record/int64.ts";
import { RecordReader } from "../record/record-encoding.ts";
import type { RecordBatch } from "./producer-batch.ts";

/**
 * Two batches with the same records in order, halved by bytes; their ranges are shared. The second one's sequence
 * follows the first one's. `batch` is of no more use. Needs at least two records.
 */
export function splitBatch(
  batch: RecordBatch,
  nextSequence: (sequence: number, count: number) => number,
): [RecordBatch, RecordBatch] {
  const raw = batch.rawRecords();
  const reader = new RecordReader(raw);
  const halves: [RecordBatch, RecordBatch] = [batch.emptyCopy(raw.length), batch.emptyCopy(raw.length)];
  const firstCount = splitPoint(raw, batch.count);
  for (let i = 0; i < batch.count; i++) {
    const record = reader.next();
    const half = i < firstCount ? halves[0] : halves[1];
    half.appendEncoded(record, sum(batch.baseTimestamp, record.timestampDelta));
  }
  let seen = 0;
  batch.ranges.forEach((range, i) => {
    const count = batch.rangeCounts[i] as number;
    const inFirst = Math.min(Math.max(firstCount - seen, 0), count);
    halves[0].addRange(range, inFirst);
    halves[1].addRange(range, count - inFirst);
    range.pending--;
    seen += count;
  });
  if (batch.sequence >= 0) {
    halves[0].sequence = batch.sequence;
    halves[1].sequence = nextSequence(batch.sequence, firstCount);
  }
  for (const half of halves) half.compress(batch.codec);
  batch.free();
  return halves;
}

/** How many of the records come before the middle of their bytes; at least one, and at least one stays. */
function splitPoint(raw: Buffer, count: number): number {
  const reader = new RecordReader(raw);
  for (let i = 1; i < count; i++) {
    reader.next();
    if (reader.position * 2 >= raw.length) return i;
  }
  return Math.max(1, count - 1);
}
