import type { AbortedTransaction } from "../record/record-set-reader.ts";

/** Record batches of one partition, for `RecordSetReader`. */
export interface Fetched {
  topic: string;
  partition: number;
  from: number;
  to: number;
  aborted: AbortedTransaction[] | null;
  records: Buffer;
  highWatermark: number;
  lastStableOffset: number;
  logStartOffset: number;
  /** To be called once at most, when nothing looks at `records` any more: their memory may then be filled anew. */
  release: () => void;
}

/** What was fetched and waits for being used, and how it ends: with nothing more, with an error, or closed. */
export class FetchQueue {
  /** Of records in it. */
  bytes = 0;
  error: Error | null = null;
  closed = false;
  private readonly items: Fetched[] = [];
  private wake: (() => void) | null = null;

  get isEmpty(): boolean {
    return this.items.length === 0;
  }

  /** The next item, if there is one. */
  shift(): Fetched | undefined {
    const item = this.items.shift();
    if (item) this.bytes -= item.records.length;
    return item;
  }

  push(item: Fetched): void {
    this.items.push(item);
    this.bytes += item.records.length;
  }

  /** The first error counts. */
  fail(error: Error): void {
    this.error ??= error;
    this.notify();
  }

  close(): void {
    this.closed = true;
    this.notify();
  }

  /** Resolves at the next `notify`. */
  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }

  notify(): void {
    const { wake } = this;
    this.wake = null;
    wake?.();
  }
}
