import { RecordReader } from "../record/record-encoding.ts";
import { NO_TIMESTAMP } from "./append-time.ts";
import type { RecordBatch } from "./producer-batch.ts";

/** The same records without their times, under the same sequence; its ranges are shared. `batch` is of no more use. */
export function untimedCopy(batch: RecordBatch): RecordBatch {
  const raw = batch.rawRecords();
  const reader = new RecordReader(raw);
  const copy = batch.emptyCopy(raw.length);
  for (let i = 0; i < batch.count; i++) copy.appendEncoded(reader.next(), NO_TIMESTAMP);
  batch.ranges.forEach((range, i) => {
    copy.addRange(range, batch.rangeCounts[i] as number);
    range.pending--;
  });
  copy.sequence = batch.sequence;
  copy.compress(batch.codec);
  batch.free();
  return copy;
}
