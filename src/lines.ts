/**
 * The two things that travel between the rooms: chunks of lines go down (tail → pipeline → kafka), settled ranges come
 * back up. Both are per chunk or per batch, never one object per line.
 */

/** A small number that names one physical file for the life of the process. Never used again for another file. */
export type FileId = number;

/**
 * Records read from one file, in order. All arrays may be views of buffers that are used again: they are valid only
 * until the call they were handed to returns.
 */
export interface Lines {
  file: FileId;
  /** Position in the file (bytes) at which this chunk starts: everything before it is in earlier chunks. */
  base: number;
  /** Position in the file (bytes) behind the chunk; bytes between the last record and `to` were skipped by a policy. */
  to: number;
  /** The values' bytes. For plain files the raw bytes as read; otherwise what decoding or joining made of them. */
  bytes: Uint8Array;
  /** Value i is `bytes[starts[i], ends[i])`; neither the terminating `\n` nor skipped bytes are part of it. */
  starts: Uint32Array;
  ends: Uint32Array;
  /** `base + nexts[i]` is the position in the file behind record i (ascending, the last one ≤ to - base). */
  nexts: Uint32Array;
  count: number;
  /** Number of the first record's line in the file, from 1. */
  lineNumber: number;
  /** The line number of record i is `lineNumber + lineOffsets[i]`; absent: `lineNumber + i`. */
  lineOffsets?: Uint32Array;
}

/**
 * Contiguous records of one file that settle together. A range that was spread over several batches is listed by each of
 * them and is settled when `pending` reaches 0. Ranges of a file are contiguous: each `from` is its predecessor's `to`.
 */
export interface Range {
  readonly file: FileId;
  readonly from: number;
  /** Grows while the range is open; final once `open` is false. */
  to: number;
  /** Batches that hold records of this range and are not settled yet. */
  pending: number;
  open: boolean;
}
