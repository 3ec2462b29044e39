/** A file system in memory, with inodes that are given out again, a coarse clock and no surprises. */
import type { Clock } from "../../src/runtime.ts";
import type { DirEntry, Fs, LinkStat, Stat } from "../../src/tail/fs/fs.ts";
import type { Traits } from "../../src/tail/fs/mounts.ts";

export interface Inode {
  ino: bigint;
  birth: bigint;
  data: Buffer;
  mtime: number;
  changed: number;
  links: number;
  open: number;
}

/** One flat set of paths; directories are what lies before a slash. */
export class MemoryFs implements Fs {
  readonly names = new Map<string, Inode>();
  readonly fds = new Map<number, Inode>();
  /** The number an open file had when it was opened; a descriptor goes on telling it. */
  readonly #inoOf = new Map<number, bigint>();
  traitsOfAll: Traits = { network: false, stable: true };
  /** "none": reported as 0; "changing": another one at each look. */
  births: "kept" | "none" | "changing" = "kept";
  /** Milliseconds between two values of the clock that stamps files. */
  tick = 4;
  /** When a name last changed. */
  changed = 0;
  /** Called before a descriptor of a deleted file is closed. */
  onLastClose: (inode: Inode) => void = () => {};
  maxFds = Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  #births = 0n;
  #nextIno = 100n;
  readonly #free: bigint[] = [];
  #nextFd = 3;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  // What the program under test uses.
  stat(path: string): Stat | null {
    const inode = this.names.get(path);
    if (inode) return this.#stat(inode);
    if ([...this.names.keys()].some((name) => name.startsWith(`${path}/`))) {
      return {
        kind: "directory",
        dev: 1,
        ino: BigInt(path.length),
        birth: 1n,
        size: 0,
        mtime: this.changed,
        changed: this.changed,
        links: 1,
        uid: 0,
      };
    }
    return null;
  }

  async statLater(path: string): Promise<Stat | null> {
    return this.stat(path);
  }

  fstat(fd: number): Stat {
    return { ...this.#stat(this.#inode(fd)), ino: this.#inoOf.get(fd)! };
  }

  open(path: string): number | null {
    const inode = this.names.get(path);
    if (!inode) return null;
    if (this.fds.size >= this.maxFds) throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    inode.open++;
    this.fds.set(this.#nextFd, inode);
    this.#inoOf.set(this.#nextFd, inode.ino);
    return this.#nextFd++;
  }

  close(fd: number): void {
    const inode = this.#inode(fd);
    if (inode.links === 0 && inode.open === 1) this.onLastClose(inode);
    this.fds.delete(fd);
    inode.open--;
    this.#reap(inode);
  }

  read(fd: number, target: Uint8Array, offset: number, length: number, position: number | null): number {
    const { data } = this.#inode(fd);
    const from = position ?? 0;
    const n = Math.max(0, Math.min(length, data.length - from));
    target.set(data.subarray(from, from + n), offset);
    return n;
  }

  async openLater(path: string): Promise<{ fd: number; stat: Stat } | null> {
    const fd = this.open(path);
    return fd === null ? null : { fd, stat: this.fstat(fd) };
  }

  async readLater(_path: string, fd: number, length: number, position: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, this.read(fd, bytes, 0, length, position));
  }

  readdir(path: string): DirEntry[] | null {
    const entries: DirEntry[] = [];
    for (const name of this.names.keys()) {
      if (name.startsWith(`${path}/`)) entries.push({ name: name.slice(path.length + 1), kind: "file" });
    }
    return entries;
  }

  async readdirLater(path: string): Promise<DirEntry[] | null> {
    return this.readdir(path);
  }

  // There are no links.
  lstat(path: string): LinkStat | null {
    return this.stat(path);
  }

  async lstatLater(path: string): Promise<LinkStat | null> {
    return this.stat(path);
  }

  readlink(): null {
    return null;
  }

  async readlinkLater(): Promise<null> {
    return null;
  }

  realpath(path: string): string | null {
    return path;
  }

  async realpathLater(path: string): Promise<string | null> {
    return path;
  }

  pathOf(fd: number): string | null {
    const inode = this.#inode(fd);
    for (const [name, one] of this.names) if (one === inode) return name;
    return null;
  }

  watch(): null {
    return null;
  }

  traits(): Traits {
    return this.traitsOfAll;
  }

  // What writers and rotators do.
  append(path: string, bytes: string | Uint8Array): Inode {
    const inode = this.names.get(path) ?? this.create(path);
    inode.data = Buffer.concat([inode.data, Buffer.from(bytes as string)]);
    inode.mtime = this.#stamp();
    return inode;
  }

  create(path: string): Inode {
    this.unlink(path);
    const ino = this.#free.pop() ?? this.#nextIno++;
    const inode: Inode = {
      ino,
      birth: BigInt(Math.round(this.#stamp() * 1e6)) + ++this.#births,
      data: Buffer.alloc(0),
      mtime: this.#stamp(),
      changed: this.#stamp(),
      links: 1,
      open: 0,
    };
    this.names.set(path, inode);
    this.changed = this.#stamp();
    return inode;
  }

  rename(from: string, to: string): void {
    const inode = this.names.get(from);
    if (!inode) return;
    this.unlink(to);
    this.names.delete(from);
    this.names.set(to, inode);
    this.changed = this.#stamp();
  }

  truncate(path: string): void {
    const inode = this.names.get(path);
    if (!inode) return;
    inode.data = Buffer.alloc(0);
    inode.mtime = this.#stamp();
  }

  copy(from: string, to: string): void {
    const source = this.names.get(from);
    if (source) this.create(to).data = Buffer.from(source.data);
  }

  unlink(path: string): void {
    const inode = this.names.get(path);
    if (!inode) return;
    this.names.delete(path);
    this.changed = this.#stamp();
    inode.links--;
    inode.changed = this.#stamp();
    this.#reap(inode);
  }

  /** Other inode numbers for the same files, as after FUSE or a server forgot them. */
  renumber(): void {
    for (const inode of this.names.values()) inode.ino = this.#nextIno++;
  }

  /** Replaces `path` by a compressed file with the same times. */
  compress(path: string, to: string, codec: (bytes: Buffer) => Buffer): void {
    const source = this.names.get(path);
    if (!source) return;
    const target = this.create(to);
    target.data = codec(source.data);
    target.mtime = source.mtime;
    this.unlink(path);
  }

  #stat(inode: Inode): Stat {
    const { ino, mtime, changed, links } = inode;
    const birth = this.births === "kept" ? inode.birth : this.births === "none" ? 0n : ++this.#births;
    return { kind: "file", dev: 1, ino, birth, size: inode.data.length, mtime, changed, links, uid: 0 };
  }

  #inode(fd: number): Inode {
    const inode = this.fds.get(fd);
    if (!inode) throw Object.assign(new Error("EBADF: bad file descriptor"), { code: "EBADF" });
    return inode;
  }

  #reap(inode: Inode): void {
    if (inode.links === 0 && inode.open === 0) this.#free.push(inode.ino);
  }

  #stamp(): number {
    return Math.floor(this.#clock.now() / this.tick) * this.tick;
  }
}
