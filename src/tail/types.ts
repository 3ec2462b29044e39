/** The seam between the tailer and the pipeline. One tailer follows the files of one input. */
import type { FileId, Lines } from "../lines.ts";
import type { FileState } from "../state/types.ts";
import type { Stat } from "./fs/fs.ts";
import type { FollowLinks } from "./fs/link-rule.ts";

export type StartPosition = "beginning" | "end" | number; // a number: bytes, negative from the end; moves on to the next line start

export type TooLongPolicy = "split" | "cut" | "skip";

export interface TailOptions {
  /** Config key, or the pattern as typed. */
  input: string;
  /** Paths and globs (`**`, `*`, `?`, `[…]`, `{…}`). */
  paths: readonly string[];
  /** Globs of files left out. */
  exclude: readonly string[];
  /** Which symbolic links inside globs are followed. */
  followLinks: FollowLinks;
  from: StartPosition;
  /** Ends once the files of the first scan are read up to the sizes they had then. */
  once: boolean;
  reopen: boolean;
  /** Bytes; default 1 000 000. */
  maxLineBytes: number;
  tooLong: TooLongPolicy;
  trimCr: boolean;
  encoding: "utf-8" | "utf-16le" | "utf-16be" | "latin1" | "auto" | "raw";
  multiline: { start?: RegExp; continuation?: RegExp; timeoutMs: number; maxBytes: number } | null;
  include: RegExp | null;
  excludeLines: RegExp | null;
  /** Lines per second for the input; 0 is unlimited. Slows, never drops. */
  rateLimit: number;
  /** Milliseconds. */
  pollMin: number;
  pollMax: number;
  /** File-system events as hints. */
  watch: boolean;
  /** Bytes of deleted or replaced files held before the oldest is let go, counted; 0 is no limit. */
  maxHeldBytes: number;
  /** Descriptors this input may keep open. */
  maxOpenFiles: number;
}

/** Everything that can happen to a file, one list. `level` says how loud. */
export interface TailEvent {
  level: "debug" | "info" | "warn" | "error";
  /** For example file-found, file-renamed, file-truncated, file-copied, file-deleted, file-unreadable, line-too-long, bytes-lost. */
  name: string;
  message: string;
  path?: string;
  file?: FileId;
  /** How many bytes or lines it concerns, where it counts something. */
  bytes?: number;
  lines?: number;
  cause?: unknown;
}

export interface TailedFile {
  id: FileId;
  input: string;
  path: string;
  /** Device and inode. */
  inode?: string;
  /** Bytes read and handed out. */
  read: number;
  /** Bytes acknowledged. */
  position: number;
  /** Bytes in the file when last looked at. */
  size: number;
}

export interface Tailer {
  /**
   * Finds the input's files and matches them with their states. `known`: this input's files in the journal. Throws
   * LogagentError FILE_IO with `once` where a server does not answer. `held`: what a predecessor handed over.
   */
  start(known: readonly FileState[], held?: ReadonlyMap<string, number>): Promise<void>;
  /**
   * The next chunk (at most about 1 MiB), fair between files, or null when nothing is due or readable now. Never throws
   * for trouble with one file: that is an event and a later try. The arrays are valid until the next call for any input.
   */
  next(): Lines | null;
  /**
   * Looks at what is due without reading, for the time in which nobody has room for lines: renames and deletions are
   * noticed while they happen, and descriptors keep what would be lost. Milliseconds until it is due again.
   */
  tend?(): number;
  /** Milliseconds until `next` is worth calling; 0: now; Infinity: only after `onWake`. */
  wait(): number;
  /** Called when an event or an asynchronous operation made `next` worth calling before `wait` ran out. */
  onWake(f: () => void): void;
  /** Everything before `position` (bytes) of the file is acknowledged; lets the tailer close or forget it. */
  settled(file: FileId, position: number): void;
  /** The file's state at its settled position, for the journal; null when it is forgotten. */
  snapshot(file: FileId): FileState | null;
  /**
   * Files whose snapshot changed since the last call: settled further, found, renamed, done. The next checkpoint holds
   * their snapshots, also of files nothing was sent from yet: where `--from end` began must survive a kill. Ids may be
   * unknown to `file` (the marker that the input's first scan is over has one too); `snapshot` knows them all.
   */
  changed(): FileId[];
  /** Keys of states that can be removed from the journal since the last call. */
  forgotten(): string[];
  /** Are there files it matches and leaves to other inputs? */
  readonly leaves?: boolean;
  /** Is it that of a file this input follows or remembers? (`inodeKey`) */
  knows?(inode: string): boolean;
  /**
   * Tells the position behind what was handed out of the file that a path holds, followed or gone; null: it is none of
   * this input's.
   */
  holding?(path: string, stat: Stat): (() => number) | null;
  file(id: FileId): TailedFile | undefined;
  files(): Iterable<TailedFile>;
  /** With `once`: every file was handed out up to the size taken at the start. */
  readonly finished: boolean;
  onEvent(f: (event: TailEvent) => void): void;
  /**
   * Gives away the descriptors of files that no name leads to any more, by the keys of their states: a successor reads on where
   * this one ends. Only `close` may follow.
   */
  handOver?(): ReadonlyMap<string, number>;
  /** Closes descriptors and watchers. */
  close(): void;
}
