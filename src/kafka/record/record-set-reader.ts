/** Walks the record batches of one partition of a Fetch response, from the fetched bytes and without copies. */
import { decompress } from "../compression/codec.ts";
import { type BatchHeader, batchHeaderBytes, readBatch } from "./decode-batch.ts";
import { DecodeError, type Source } from "./decode-error.ts";
import { controlType, locateRecords, RecordBlock } from "./record-block.ts";

export { DecodeError } from "./decode-error.ts";
export { RecordBlock, type RecordHeader } from "./record-block.ts";

/** A transaction that was aborted, as Fetch lists it for read-committed. */
export interface AbortedTransaction {
  producerId: bigint;
  firstOffset: number;
}

export interface DecodeOptions extends Source {
  /** Offsets in [from, to) are wanted; a batch may begin before. */
  from: number;
  to: number;
  /** Null: read-uncommitted. */
  aborted: readonly AbortedTransaction[] | null;
  /** Bytes a batch may decompress to. Default 256 MiB. */
  limit?: number;
}

const abortMarker = 0;
const defaultLimit = 256 * 1024 * 1024;

export class RecordSetReader {
  /** The offset behind what was returned so far, counting what was filtered or compacted away. */
  position: number;
  private readonly bytes: Buffer;
  private readonly options: DecodeOptions;
  private readonly block: RecordBlock;
  private readonly aborted: AbortedTransaction[];
  private readonly abortedProducers = new Set<bigint>();
  private at = 0;

  /** `block` is filled by each `next`, so it can serve many readers, one after the other. */
  constructor(bytes: Buffer, options: DecodeOptions, block = new RecordBlock()) {
    this.bytes = bytes;
    this.options = options;
    this.block = block;
    this.position = options.from;
    this.aborted = [...(options.aborted ?? [])].sort((a, b) => a.firstOffset - b.firstOffset);
  }

  /** The next batch that holds wanted records; null at the end or at a batch that is cut off. Throws DecodeError. */
  next(): RecordBlock | null {
    const { options, block } = this;
    while (this.at < this.bytes.length && this.position < options.to) {
      const batch = readBatch(this.bytes, this.at, this.bytes.length, options, this.position);
      if (batch === null) return null;
      if (batch.lastOffset < batch.baseOffset) {
        throw new DecodeError(options, batch.baseOffset, `the batch's last offset is ${batch.lastOffset}`);
      }
      this.at = batch.end;
      if (batch.lastOffset < options.from) continue;
      this.position = Math.min(batch.lastOffset + 1, options.to);
      if (this.isHidden(batch)) continue;
      this.locate(batch);
      if (block.count > 0) return block;
    }
    return null;
  }

  /** Markers are never records; records of an aborted transaction are none for read-committed. */
  private isHidden(batch: BatchHeader): boolean {
    if (this.options.aborted !== null) {
      while (this.aborted.length > 0 && (this.aborted[0] as AbortedTransaction).firstOffset <= batch.lastOffset) {
        this.abortedProducers.add((this.aborted.shift() as AbortedTransaction).producerId);
      }
      if (batch.control && controlType(this.bytes, batch) === abortMarker)
        this.abortedProducers.delete(batch.producerId);
    }
    return batch.control || (batch.transactional && this.abortedProducers.has(batch.producerId));
  }

  private locate(batch: BatchHeader): void {
    const { options, block } = this;
    const start = batch.start + batchHeaderBytes;
    if (batch.codec === "none") {
      locateRecords(block, batch, this.bytes, start, batch.end, options, options.from, options.to);
      return;
    }
    let records: Uint8Array;
    try {
      records = decompress(
        batch.codec,
        this.bytes.subarray(start, batch.end),
        options.limit ?? defaultLimit,
        block.scratch.room,
      );
    } catch (error) {
      throw new DecodeError(options, batch.baseOffset, (error as Error).message, error);
    }
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.byteLength);
    locateRecords(block, batch, bytes, 0, bytes.length, options, options.from, options.to);
  }
}
