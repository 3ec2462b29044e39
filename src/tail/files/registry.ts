/** All files of one tailer: followed ones, and gone ones whose copies must still be recognised. */
import type { FileId } from "../../lines.ts";
import type { Stat } from "../fs/fs.ts";
import { directoryOf, rootName, strictRootName } from "../fs/rotated-names.ts";
import { type Identity, inodeKey } from "../identity/identity.ts";
import type { TailedFile } from "../types.ts";
import type { FollowedFile } from "./file.ts";

/** Files that are done with, remembered in case that they come back under another name or compressed. */
const remembered = 2000;

/** A path whose content is that of a file which is followed elsewhere. */
export interface Copy {
  path: string;
  of: FollowedFile;
  /** As it was when its content was compared. */
  stat: Stat;
  /** Monotonic milliseconds until which its original may be truncated or removed; afterwards it is a file of its own. */
  until: number;
}

export class Registry {
  readonly files = new Map<FileId, FollowedFile>();
  /** Files whose name leads to them. */
  readonly byPath = new Map<string, FollowedFile>();
  readonly copies = new Map<string, Copy>();
  /** Paths that lead nowhere now, with the file they led to last and the wall clock of the last look at them. */
  readonly missing = new Map<string, { file: FollowedFile; since: number }>();
  /** Ids whose state a checkpoint should hold. */
  readonly changed = new Set<FileId>();
  /** Keys of states that nobody needs any more. */
  forgotten: string[] = [];
  /** Counts files that came and names that led elsewhere: truncation ends one file and begins another. */
  changes = 0;
  /** Counts paths that led to a file or were known as copies, and do so or are so no more. */
  unlearned = 0;
  readonly #byInode = new Map<string, FollowedFile>();
  readonly #byRoot: RootIndex = new Map();
  readonly #byStrictRoot: RootIndex = new Map();
  /** The file that was last followed under a path. */
  readonly #lastAt = new Map<string, FollowedFile>();

  readonly #claim: (inode: string) => void;

  /** `claim` hears of each inode that a file is found at. */
  constructor(claim: (inode: string) => void = () => {}) {
    this.#claim = claim;
  }

  add(file: FollowedFile): void {
    this.changes++;
    this.files.set(file.id, file);
    this.#index(file);
    if (file.attached) this.attach(file, file.path);
    this.changed.add(file.id);
  }

  /** The name leads to the file from now on. */
  attach(file: FollowedFile, path: string): void {
    this.changes++;
    if (file.path !== path) this.detach(file);
    this.#unindexRoot(file);
    file.path = path;
    file.attached = true;
    this.byPath.set(path, file);
    this.copies.delete(path);
    this.missing.delete(path);
    this.#lastAt.set(path, file);
    this.#indexRoot(file);
    this.changed.add(file.id);
  }

  /** The name leads elsewhere or nowhere. */
  detach(file: FollowedFile): void {
    if (this.byPath.get(file.path) === file) {
      this.byPath.delete(file.path);
      this.unlearned++;
      this.missing.set(file.path, { file, since: file.lastLook });
    }
    this.changes++;
    file.attached = false;
    this.changed.add(file.id);
  }

  /** Outside of the patterns it is found at another path now. */
  move(file: FollowedFile, path: string): void {
    this.#unindexRoot(file);
    file.path = path;
    this.#indexRoot(file);
    this.changed.add(file.id);
  }

  /** The content is found under another identity now (a copy, a compressed successor, another mount). */
  identify(file: FollowedFile, identity: Identity): void {
    this.#unindexInode(file);
    file.identity = { dev: identity.dev, ino: identity.ino, birth: identity.birth };
    this.#byInode.set(inodeKey(identity), file);
    this.#claim(inodeKey(identity));
    this.changed.add(file.id);
  }

  hasInode(inode: string): boolean {
    return this.#byInode.has(inode);
  }

  /** The file that holds this inode, or held it last. */
  atInode(identity: { dev: number; ino: bigint }): FollowedFile | undefined {
    return this.#byInode.get(inodeKey(identity));
  }

  lastAt(path: string): FollowedFile | undefined {
    return this.#lastAt.get(path);
  }

  setLastAt(path: string, file: FollowedFile): void {
    this.#lastAt.set(path, file);
  }

  /**
   * Files beside the path, or in a directory above it (`olddir`), whose name has the same root: candidates for being the
   * original of a copy. Namesakes elsewhere, as the logs of many pods are, have nothing to do with each other.
   */
  relatives(path: string): FollowedFile[] {
    const root = rootName(path);
    const found: FollowedFile[] = [];
    for (let directory = directoryOf(path); ; directory = directoryOf(directory)) {
      for (const file of filesAt(this.#byRoot, rootKey(directory, root))) found.push(file);
      if (directory === "." || directory === "/") return found;
    }
  }

  /** Files beside the path that are generations of the same log by their names alone. */
  generations(path: string): FollowedFile[] {
    return [...filesAt(this.#byStrictRoot, rootKey(directoryOf(path), strictRootName(path)))];
  }

  /** The path is to be looked at anew. */
  dropCopy(path: string): void {
    this.copies.delete(path);
    this.unlearned++;
  }

  copiesOf(file: FollowedFile): Copy[] {
    return this.copies.size === 0 ? [] : [...this.copies.values()].filter((copy) => copy.of === file);
  }

  forget(file: FollowedFile): void {
    this.files.delete(file.id);
    if (this.byPath.get(file.path) === file) {
      this.byPath.delete(file.path);
      this.unlearned++;
    }
    if (this.#lastAt.get(file.path) === file) this.#lastAt.delete(file.path);
    for (const [path, { file: last }] of this.missing) if (last === file) this.missing.delete(path);
    this.#unindexInode(file);
    this.#unindexRoot(file);
    this.changed.delete(file.id);
    this.forgotten.push(file.key);
  }

  /**
   * Forgets files that are gone, settled and were last seen before `oldest` (wall clock), and of those that are done with
   * all but the last: a log that is rotated every second must not fill memory and state.
   */
  forgetBefore(oldest: number): void {
    for (const file of this.files.values())
      if (file.gone && file.settledAll && file.lastLook < oldest) this.forget(file);
    const done = [...this.files.values()].filter((file) => file.gone && file.done);
    if (done.length <= remembered) return;
    done.sort((a, b) => a.lastLook - b.lastLook);
    for (const file of done.slice(0, done.length - remembered)) this.forget(file);
  }

  #index(file: FollowedFile): void {
    const holder = this.atInode(file.identity);
    if (!holder || !file.gone) {
      this.#byInode.set(inodeKey(file.identity), file);
      this.#claim(inodeKey(file.identity));
    }
    this.#indexRoot(file);
  }

  #indexRoot(file: FollowedFile): void {
    const directory = directoryOf(file.path);
    addTo(this.#byRoot, rootKey(directory, rootName(file.path)), file);
    addTo(this.#byStrictRoot, rootKey(directory, strictRootName(file.path)), file);
  }

  #unindexRoot(file: FollowedFile): void {
    const directory = directoryOf(file.path);
    removeFrom(this.#byRoot, rootKey(directory, rootName(file.path)), file);
    removeFrom(this.#byStrictRoot, rootKey(directory, strictRootName(file.path)), file);
  }

  #unindexInode(file: FollowedFile): void {
    if (this.atInode(file.identity) === file) this.#byInode.delete(inodeKey(file.identity));
  }
}

/** What others see of a file. */
export function view(file: FollowedFile): TailedFile {
  return {
    id: file.id,
    input: file.input,
    path: file.path,
    inode: inodeKey(file.identity),
    read: file.read,
    position: file.position,
    size: Math.max(file.size, file.read),
  };
}

function rootKey(directory: string, root: string): string {
  return `${directory}/${root}`;
}

/** Files by the root of their names. Mostly a log has one: a set for each would take half a kilobyte a file. */
type RootIndex = Map<string, FollowedFile | Set<FollowedFile>>;

function filesAt(index: RootIndex, key: string): Iterable<FollowedFile> {
  const found = index.get(key);
  return found instanceof Set ? found : found ? [found] : [];
}

function addTo(index: RootIndex, key: string, file: FollowedFile): void {
  const found = index.get(key);
  if (found instanceof Set) found.add(file);
  else index.set(key, found && found !== file ? new Set([found, file]) : file);
}

function removeFrom(index: RootIndex, key: string, file: FollowedFile): void {
  const found = index.get(key);
  if (found instanceof Set) found.delete(file);
  if (found === file || (found instanceof Set && found.size === 0)) index.delete(key);
}
