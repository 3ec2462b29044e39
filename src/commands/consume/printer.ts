/** Record blocks → stdout: filter, count, format. */
import type { RecordBlock } from "../../kafka/record/record-set-reader.ts";
import type { OutputBuffer } from "../../output/buffer.ts";
import type { RecordFilter } from "../../output/filter.ts";
import type { RecordWriter } from "../../output/format.ts";

/** Written at once when nothing more is at hand, else in pieces of at least this many bytes. */
const chunkBytes = 256 * 1024;

export interface PrinterOptions {
  write: RecordWriter;
  filter: RecordFilter | null;
  /** Records to print at most; Infinity: all. */
  limit: number;
}

export class Printer {
  printed = 0;
  private readonly out: OutputBuffer;
  private readonly options: PrinterOptions;

  constructor(out: OutputBuffer, options: PrinterOptions) {
    this.out = out;
    this.options = options;
  }

  /** True when the limit is reached or the reader is gone. */
  get done(): boolean {
    return this.printed >= this.options.limit || this.out.closed;
  }

  /** What is printed arrives nowhere any more. */
  get gone(): boolean {
    return this.out.closed;
  }

  /** Returns how many records of the block were used: fewer than it holds only when the limit was reached. */
  print(block: RecordBlock): number {
    const { write, filter, limit } = this.options;
    const { out } = this;
    const { count } = block;
    for (let i = 0; i < count; i++) {
      if (this.printed >= limit) return i;
      if (filter !== null && !filter(block, i)) continue;
      write(out, block, i, ++this.printed);
    }
    return count;
  }

  /** Hands what is collected to stdout if it is much, or anyway if `idle`. Waits only for the write before. */
  async breathe(idle: boolean): Promise<void> {
    if (idle || this.out.length >= chunkBytes) await this.out.flush();
  }

  end(): Promise<void> {
    return this.out.end();
  }
}
