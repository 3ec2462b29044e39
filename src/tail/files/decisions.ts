/**
 * The decisions on which it hangs that nothing is lost and nothing comes twice, in one place: tests plant a defect in one
 * at a time and see that it is caught.
 */
import type { Stat } from "../fs/fs.ts";
import { type Content, type Expected, isSame, type Match, matchContent } from "../identity/fingerprint.ts";
import { type Identity, sameFile } from "../identity/identity.ts";
import type { Context } from "../rotation/context.ts";
import { type Evidence, proves } from "../rotation/evidence.ts";
import { recover } from "../rotation/find-copy.ts";
import { FifoSource } from "../source/fifo.ts";
import type { Source } from "../source/source.ts";
import type { FollowedFile } from "./file.ts";

export interface Judgement {
  /** The same inode, and not one that was given out again? `stable`: birth times mean something. */
  sameFile(a: Identity, b: Identity, stable: boolean): boolean;
  /** Does `content` agree with what is known of a file? */
  match(content: Content, expected: Expected): Match;
  /** Is the content at the inode of a file still that of this file? */
  isStill(match: Match): boolean;
  /** Is a file of `size` bytes shorter than what is known of it? */
  shrank(file: FollowedFile, size: number): boolean;
  /**
   * Do bytes read anew agree with what is remembered? `n` bytes of `buffer` begin with the file's tail; `ended`: behind
   * them the file ends.
   */
  keepsRead(file: FollowedFile, buffer: Buffer, n: number, ended: boolean): boolean;
  /** Is there nothing more to come from a file that just lost its name? */
  endsWithName(file: FollowedFile): boolean;
  /** Is so much agreement enough to take one path's content for that of another? */
  proves(evidence: Evidence): boolean;
  /** Milliseconds for which a path that holds the content of a log waits for that log to be truncated. */
  patience: number;
  /** Was what a name leads to now there before the name's old file, known by its descriptor, lost it? */
  precedes(there: Stat, old: Stat): boolean;
  /** May a path be a copy of a file that is gone? Equal content alone does not make it one. */
  mayBeCopyOf(file: FollowedFile): boolean;
  /** Goes on with a copy of what was truncated; false: there is none. */
  recover(context: Context, file: FollowedFile): boolean;
  /** Will nobody finish the last line? */
  isFinal(file: FollowedFile, source: Source): boolean;
}

export const judgement: Judgement = {
  sameFile,
  match: matchContent,
  isStill: isSame,
  shrank: (file, size) => size < file.read || (file.read === 0 && size < file.size),
  keepsRead: (file, buffer, n, ended) =>
    keepsTail(file, buffer) && keepsHead(file, buffer, n, ended) && keepsSample(file, buffer, n, ended),
  endsWithName: (file) => file.complete,
  proves,
  patience: 3000,
  precedes: ({ birth, mtime }, { links, changed }) =>
    links === 0 && birth > 0n && Number(birth) / 1e6 <= changed && (Number(birth) / 1e6 < changed || mtime <= changed),
  mayBeCopyOf: (file) => !file.done || file.copied,
  recover,
  isFinal: (file, source) => file.final || source.closed || (source instanceof FifoSource && source.ended),
};

function keepsTail({ tail, tailLength }: FollowedFile, buffer: Buffer): boolean {
  return buffer.compare(tail, 0, tailLength, 0, tailLength) === 0;
}

/** While nothing was handed out the first bytes stand in for the tail. */
function keepsHead({ head, read, tailLength }: FollowedFile, buffer: Buffer, n: number, ended: boolean): boolean {
  if (head === null || head.length === 0 || read > 0 || tailLength > 0) return true;
  const known = Math.min(head.length, n);
  return !(ended && n < head.length) && buffer.compare(head, 0, known, 0, known) === 0;
}

/** Compares what was sampled when it was unread, once a read covers it. */
function keepsSample(file: FollowedFile, buffer: Buffer, n: number, ended: boolean): boolean {
  if (file.sample === null) return true;
  const { from, bytes: wanted } = file.sample;
  const at = from - (file.read - file.tailLength);
  if (at + wanted.length > n) return !ended;
  file.sample = null;
  return at < 0 || buffer.compare(wanted, 0, wanted.length, at, at + wanted.length) === 0;
}
