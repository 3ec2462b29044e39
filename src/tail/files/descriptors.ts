/** Bounds the open descriptors: idle, settled files are closed, the longest unused first, and opened again by identity. */

import { type Fs, isScarce } from "../fs/fs.ts";
import { looksCompressed } from "../fs/rotated-names.ts";
import { readFully, sameFile } from "../identity/identity.ts";
import { codecOf, magicBytes, openCompressed } from "../source/compressed.ts";
import { PlainSource, type Source } from "../source/source.ts";
import type { DescriptorBudget } from "./descriptor-budget.ts";
import type { FollowedFile } from "./file.ts";
import { Openings, RemoteSource } from "./network-source.ts";

/** Files looked at before an eviction gives up. */
const evictionTries = 256;

/** "later": the server is asked, `wake` tells when it answered. */
export type Opened = "open" | "missing" | "other" | "full" | "later";

export class Descriptors {
  readonly #fs: Fs;
  readonly #wake: (file: FollowedFile) => void;
  /** Least recently used first. */
  readonly #open = new Set<FollowedFile>();
  readonly #openings: Openings;
  readonly #budget: DescriptorBudget | null;
  #limit: number;

  /** `wake` hears of sources that have something to read again; `budget`: what it shares with others. */
  constructor(fs: Fs, limit: number, wake: (file: FollowedFile) => void, budget: DescriptorBudget | null = null) {
    this.#budget = budget;
    budget?.join(this);
    this.#fs = fs;
    this.#limit = Math.max(1, limit);
    this.#wake = wake;
    this.#openings = new Openings(fs, wake);
  }

  get count(): number {
    return this.#open.size;
  }

  /**
   * Opens what the file's path leads to. "other": that is another file by now; "full": every open file has unsettled
   * bytes, try later. Throws the system's errors.
   */
  open(file: FollowedFile): Opened {
    if (file.source) {
      this.#open.delete(file);
      this.#open.add(file);
      return "open";
    }
    if (file.attached && !file.awaited && !this.makeRoom()) return "full";
    let fd: number | null;
    try {
      const asked = this.#fs.traits(file.path).network ? this.#openings.ask(file) : this.#fs.open(file.path);
      if (asked === "later") return "later";
      fd = asked;
    } catch (error) {
      if (!isScarce(error)) throw error;
      const before = this.#open.size;
      this.full();
      return this.#open.size < before ? this.open(file) : "full";
    }
    if (fd === null) return "missing";
    const stat = this.#fs.fstat(fd);
    if (stat.kind !== "file" || !sameFile(stat, file.identity, this.#fs.traits(file.path).stable)) {
      this.#fs.close(fd);
      return "other";
    }
    this.#take(file, fd);
    return "open";
  }

  /**
   * Files without a name are held whatever the limit says: nothing else leads to their bytes. So are those others wait for,
   * and as many again whose server is asked: it may not answer, and must keep no others from being read.
   */
  get hasRoom(): boolean {
    if (this.#open.size < this.#limit) return true;
    let [named, asking] = [0, 0];
    for (const file of this.#open) {
      if (!file.attached) continue;
      if (asking < this.#limit && file.source instanceof RemoteSource && file.source.asking) asking++;
      else named++;
    }
    return named < this.#limit;
  }

  /** True if another one may be opened, after closing what can be closed. */
  makeRoom(): boolean {
    return (this.hasRoom || this.evict()) && (this.#budget === null || this.#budget.makeRoom());
  }

  /** The system has no more descriptors: there will be fewer from now on. */
  full(): void {
    this.#limit = Math.max(1, Math.min(this.#limit, this.#open.size - 4));
    for (let i = 0; i < 4 && this.#open.size >= this.#limit; i++) if (!this.evict()) return;
  }

  keepSource(file: FollowedFile, source: Source): void {
    file.source = source;
    this.#open.add(file);
  }

  /** Takes over a descriptor that is open already. */
  keep(file: FollowedFile, fd: number): void {
    this.#take(file, fd);
  }

  /** The source passes from one file to another (truncation: same inode, new content). */
  pass(from: FollowedFile, to: FollowedFile): void {
    to.source = from.source;
    from.source = null;
    if (this.#open.delete(from) && to.source) this.#open.add(to);
    if (to.source instanceof RemoteSource) to.source.owner = to;
  }

  /** They count no more for the others. */
  leave(): void {
    this.#budget?.leave(this);
  }

  /** The descriptor of a plain file, which is the caller's to close from now on; null where there is none. */
  giveAway(file: FollowedFile): number | null {
    if (!(file.source instanceof PlainSource) || file.source instanceof RemoteSource) return null;
    const { fd } = file.source;
    this.#open.delete(file);
    file.source = null;
    return fd;
  }

  close(file: FollowedFile): void {
    this.#openings.drop(file);
    this.#open.delete(file);
    file.source?.close();
    file.source = null;
  }

  #take(file: FollowedFile, fd: number): void {
    const codec = looksCompressed(file.path) ? codecOf(readFully(this.#fs, fd, 0, magicBytes)) : null;
    file.codec = codec;
    file.source = codec
      ? openCompressed(this.#fs, fd, codec, () => this.#wake(file))
      : this.#fs.traits(file.path).network
        ? new RemoteSource(this.#fs, fd, file, this.#wake)
        : new PlainSource(this.#fs, fd);
    this.#open.add(file);
  }

  /** Closes one file that has nothing unsettled: rather one that was handed out whole than one with an incomplete line. */
  evict(): boolean {
    return this.#evictOne(true) || this.#evictOne(false);
  }

  /** Looks at the size last, so that no write is missed. */
  #evictOne(whole: boolean): boolean {
    let tries = evictionTries;
    for (const file of this.#open) {
      if (tries-- === 0) break;
      if (!file.attached || !file.settledAll || file.queued || !file.drained || !(file.source instanceof PlainSource))
        continue;
      const stat = file.source instanceof RemoteSource ? file : this.#fs.fstat(file.source.fd);
      if (stat.size !== (whole ? file.read : file.size) || stat.links === 0) continue;
      this.close(file);
      return true;
    }
    return false;
  }
}
