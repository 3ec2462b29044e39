/**
 * Buffers for record batches, used again and again: a backlog that allocates a fresh megabyte per batch leaves the
 * garbage collector hundreds of megabytes behind.
 */
import type { Allocate } from "../compression/allocate.ts";

/** Larger pieces than this, bytes, are not held on to. */
const largestScratch = 8 << 20;

/** One piece of memory that is used for one thing after the other. */
export class Scratch {
  private buffer: Buffer = Buffer.alloc(0);

  /** What was handed out before is overwritten. */
  readonly room: Allocate = (bytes) => {
    if (bytes > largestScratch) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.buffer.length) this.buffer = Buffer.allocUnsafeSlow(Math.max(bytes, this.buffer.length * 2));
    return this.buffer.subarray(0, bytes);
  };
}

/** Smaller classes let thousands of partitions with a few records each be open at once. */
const smallClasses = [4 << 10, 32 << 10, 256 << 10];

export class BufferPool {
  private readonly classes: readonly number[];
  private readonly free: Buffer[][];
  /** Per class: how many lay idle all the time since the last `trim`. */
  private readonly unused: number[];
  private readonly keepBytes: number;
  private kept = 0;

  /** `largest`: bytes of a full batch with its headroom; `keepBytes`: how much may lie idle. */
  constructor(largest: number, keepBytes: number) {
    this.classes = [...smallClasses.filter((size) => size < largest), largest];
    this.free = this.classes.map(() => []);
    this.unused = this.classes.map(() => 0);
    this.keepBytes = keepBytes;
  }

  /** A buffer of at least `bytes`, its content undefined. */
  take(bytes: number): Buffer {
    const index = this.classes.findIndex((size) => size >= bytes);
    if (index < 0) return Buffer.allocUnsafeSlow(bytes);
    const buffer = this.free[index]?.pop();
    if (!buffer) return Buffer.allocUnsafeSlow(this.classes[index] as number);
    this.kept -= buffer.length;
    this.unused[index] = Math.min(this.unused[index] as number, this.free[index]?.length ?? 0);
    return buffer;
  }

  give(buffer: Buffer): void {
    const index = this.classes.indexOf(buffer.length);
    if (index < 0 || this.kept + buffer.length > this.keepBytes) return;
    this.free[index]?.push(buffer);
    this.kept += buffer.length;
  }

  /** Lets go of what was not needed since it was called last; true when buffers are left that may not be either. */
  trim(): boolean {
    for (const [index, free] of this.free.entries()) {
      const length = this.classes[index] as number;
      const buffers = free.splice(0, this.unused[index]);
      this.kept -= buffers.length * length;
      this.unused[index] = free.length;
    }
    return this.kept > 0;
  }
}
