/** Files on a server that may be away: opened and read ahead in the background, so that no other file waits. */

import type { Fs, Stat } from "../fs/fs.ts";
import { PlainSource } from "../source/source.ts";
import type { FollowedFile } from "./file.ts";

/** Milliseconds for which a start waits for a server that may be away. */
export const patience = 5000;
/** Answers kept for reads that are made again once they were answered: a scan of a hole reads at two positions. */
const answersKept = 4;
/** More than fingerprints and comparisons of small copies look at. */
const reachedBytes = 65_536;

interface Answer {
  bytes: Uint8Array;
  asked: number;
  /** The file's size as it was known when it was asked. */
  size: number;
}

export class RemoteSource extends PlainSource {
  /** The file whose bytes they are: it changes when the file is truncated. */
  owner: FollowedFile;
  readonly #fs: Fs;
  readonly #wake: (file: FollowedFile) => void;
  readonly #answers = new Map<number, Answer>();
  #asking: number | null = null;
  #error: unknown = null;
  #closed = false;

  constructor(fs: Fs, fd: number, owner: FollowedFile, wake: (file: FollowedFile) => void) {
    super(fs, fd);
    this.#fs = fs;
    this.owner = owner;
    this.#wake = wake;
  }

  /** Is an answer awaited? */
  get asking(): boolean {
    return this.#asking !== null;
  }

  /** Each answer serves one read: the next one at its position asks anew. */
  override read(target: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#error !== null) {
      const error = this.#error;
      this.#error = null;
      throw error;
    }
    const answer = this.#answers.get(position);
    if (answer && answer.asked >= length && !this.#mayHaveGrown(answer, length)) {
      this.#answers.delete(position);
      const bytes = answer.bytes.subarray(0, length);
      target.set(bytes, offset);
      return bytes.length;
    }
    if (this.#asking === null) this.#ask(position, length);
    return -1;
  }

  /** A call that is under way may hang: the descriptor is closed when it comes back. */
  override close(): void {
    this.#closed = true;
    if (this.#asking === null) super.close();
  }

  #mayHaveGrown({ bytes, size }: Answer, length: number): boolean {
    return bytes.length < length && this.owner.size > size;
  }

  #ask(position: number, length: number): void {
    this.#asking = position;
    const { path, size } = this.owner;
    this.#fs.readLater(path, this.fd, length, position).then(
      (bytes) => this.#answered(() => this.#answers.set(position, { bytes, asked: length, size })),
      (error) =>
        this.#answered(() => {
          this.#error = error;
        }),
    );
  }

  #answered(keep: () => void): void {
    const position = this.#asking!;
    this.#asking = null;
    if (this.#closed) {
      super.close();
      return;
    }
    this.#answers.delete(position);
    keep();
    for (const old of this.#answers.keys()) {
      if (this.#answers.size <= answersKept) break;
      this.#answers.delete(old);
    }
    this.#wake(this.owner);
  }
}

/**
 * What a path holds, once the server has given its first bytes too: what looks at the content next finds it in memory.
 * Null: no such file.
 */
export async function reach(fs: Fs, path: string): Promise<Stat | null> {
  const stat = await fs.statLater(path);
  if (stat?.kind !== "file") return stat;
  const opened = await fs.openLater(path);
  if (opened === null) return null;
  try {
    await fs.readLater(path, opened.fd, reachedBytes, 0);
  } finally {
    fs.close(opened.fd);
  }
  return opened.stat;
}

interface Opening {
  path: string;
  /** Not there yet, or what came: a descriptor, no such file, the system's error. */
  result: { fd: number | null } | { error: unknown } | null;
  dropped: boolean;
}

/** Opens that are under way. */
export class Openings {
  readonly #fs: Fs;
  readonly #wake: (file: FollowedFile) => void;
  readonly #openings = new Map<FollowedFile, Opening>();

  constructor(fs: Fs, wake: (file: FollowedFile) => void) {
    this.#fs = fs;
    this.#wake = wake;
  }

  /** The descriptor, null: no such file, or "later": the server is asked. Throws the system's errors. */
  ask(file: FollowedFile): number | null | "later" {
    const opening = this.#openings.get(file);
    if (opening && opening.path !== file.path) this.drop(file);
    else if (opening?.result) {
      this.#openings.delete(file);
      if ("error" in opening.result) throw opening.result.error;
      return opening.result.fd;
    } else if (opening) return "later";
    this.#begin(file);
    return "later";
  }

  /** Nobody wants it any more. */
  drop(file: FollowedFile): void {
    const opening = this.#openings.get(file);
    if (!opening) return;
    this.#openings.delete(file);
    opening.dropped = true;
    if (opening.result && "fd" in opening.result && opening.result.fd !== null) this.#fs.close(opening.result.fd);
  }

  #begin(file: FollowedFile): void {
    const opening: Opening = { path: file.path, result: null, dropped: false };
    this.#openings.set(file, opening);
    this.#fs.openLater(file.path).then(
      (opened) => {
        if (opening.dropped) {
          if (opened) this.#fs.close(opened.fd);
          return;
        }
        opening.result = { fd: opened?.fd ?? null };
        this.#wake(file);
      },
      (error) => {
        opening.result = { error };
        if (!opening.dropped) this.#wake(file);
      },
    );
  }
}
