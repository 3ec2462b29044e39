/** What is told of a partition and of batches on their way to it. */
import type { RecordBatch } from "./producer-batch.ts";
import type { SinkEvent } from "./sink.ts";

type Place = Pick<RecordBatch, "topic" | "partition">;

/** For messages: which partition it is. */
export function describe({ topic, partition }: Place): string {
  return `topic "${topic}" partition ${partition}`;
}

function partitionEvent(level: SinkEvent["level"], name: string, { topic, partition }: Place, text: string): SinkEvent {
  return { level, name, message: text, topic, partition };
}

/** The broker's answer (`error`, its name) shows that it does not share our view of identity and sequence. */
export function stateRefused(batch: RecordBatch, error: string): SinkEvent {
  const text = `${describe(batch)}: ${error} at sequence ${batch.sequence}`;
  return partitionEvent("debug", "producer-state-refused", batch, text);
}

/** These batches of one partition are sent again although they may be in the log already. */
export function mayRepeat(batches: readonly RecordBatch[], why: string): SinkEvent {
  const [first] = batches as [RecordBatch];
  const records = batches.reduce((sum, { count }) => sum + count, 0);
  const text = `${describe(first)}: ${why}; ${batches.length} batches (${records} records) of unknown fate may repeat`;
  return partitionEvent("warn", "producer-state-lost", first, text);
}

/** The broker does not take the times that this host's clock gives. */
export function clockRefused(place: Place, detail: string | null): SinkEvent {
  const text = `${describe(place)}: the broker refuses this host's time, ${new Date().toISOString()}${detail ? ` (${detail})` : ""}; set the clock right. Lines go out without a time meanwhile`;
  return partitionEvent("warn", "clock-refused", place, text);
}

/** A batch of one record that the broker will never take. */
export function recordRefused(batch: RecordBatch, { name, message }: { name: string; message: string }): SinkEvent {
  const why = message === "" ? name : `${name}: ${message}`;
  const text = `${describe(batch)}: a record of ${batch.size} bytes was refused (${why}) and is left out`;
  return partitionEvent("warn", "record-refused", batch, text);
}

/** `size`: the batch's bytes before it was split. */
export function batchSplit(batch: RecordBatch, size: number, error: string): SinkEvent {
  const text = `${describe(batch)}: a batch of ${size} bytes was refused (${error}) and is split`;
  return partitionEvent("debug", "batch-split", batch, text);
}

/** The topic was created again with fewer partitions: `target` stands in for the one that is gone. */
export function partitionGone(gone: Place, target: Place): SinkEvent {
  const text = `topic "${gone.topic}": partition ${gone.partition} is gone; its records go to partition ${target.partition}`;
  return partitionEvent("warn", "partition-gone", gone, text);
}
