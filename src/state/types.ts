/** What the state journal holds. Positions are bytes; everything here is plain JSON. */

/** A hash of bytes `[from, from + length)` of the (decompressed, raw) file. */
export interface ContentHash {
  from: number;
  length: number;
  hash: string;
}

/** One file as it was at a checkpoint. */
export interface FileState {
  /** Made once per physical file and input, unique in the journal. */
  key: string;
  input: string;
  /** Last known path. */
  path: string;
  dev: number;
  /** Decimal; inode numbers may exceed 2^53. */
  ino: string;
  /** Birth time in ns since the epoch, decimal; "0" where the file system has none. */
  birth: string;
  /** Everything before it is acknowledged. */
  position: number;
  /** Number of the line that starts at `position`, from 1. */
  line: number;
  /** Hash of the file's beginning; grows with the file up to a limit. */
  fingerprint: ContentHash;
  /** Hash of the bytes before `position` (or before an earlier position), as they were when read; at 0 of unread bytes, or null. */
  marker: ContentHash | null;
  /** Milliseconds since the epoch at which the file was last seen. */
  seen: number;
  /** Bytes it had when last looked at, where that is more than `position`. */
  size?: number;
  /** Its name led elsewhere already. */
  left?: true;
  /** The file is gone or complete: kept for a while so that a copy or successor of it is recognised. */
  done?: true;
}

/** Numbers rise by one with each checkpoint and are never used again; `base` is the number this one builds on. */
export interface Checkpoint {
  n: number;
  base: number;
  /** Only the files that changed since `base`. */
  files: readonly FileState[];
  /** Keys of files that are forgotten. */
  removed?: readonly string[];
  /**
   * True by itself once it is on disk: everything it covers was acknowledged before it was written (at-least-once).
   * Without it the checkpoint is true only if its transaction was committed, which a `confirmed` line or the group's
   * offset tells.
   */
  confirmed?: true;
  /** `files` is the whole state, not a change (written by compaction). */
  full?: true;
}

/** What the journal says about itself; the last header line counts. */
export interface Header {
  /** Name of the agent: part of its transactional id and consumer group. */
  agent: string;
  /** Hash of the machine the agent id was made on; null where the machine has no id. */
  machine: string | null;
  /** Id of the cluster the lines go to; null until the first acknowledgement. */
  cluster: string | null;
  /** Topic of every input of which a record was acknowledged. */
  topics: Readonly<Record<string, string>>;
  /** Nonces of this journal's exactly-once starts that may have committed last: an offset with another is not ours. */
  nonces?: readonly string[];
}
