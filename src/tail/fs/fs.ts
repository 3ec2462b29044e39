/** The file system as the tailer uses it: injected, so that simulations are deterministic and faults can be played. */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  watch,
} from "node:fs";
import { decodePath, encodePath } from "../../path-text.ts";
import { CallThreads, type RawStat } from "./io-threads.ts";
import { mountTraits, type Traits } from "./mounts.ts";

export type FileKind = "file" | "directory" | "fifo" | "other";

export interface Stat {
  kind: FileKind;
  dev: number;
  ino: bigint;
  /** Birth time, ns since the epoch; 0 where the file system has none. */
  birth: bigint;
  size: number;
  /** Last change of the content, milliseconds since the epoch, with fractions. */
  mtime: number;
  /** Last change of the file or its names, as `mtime`. */
  changed: number;
  /** Names the file has; 0: deleted while open. */
  links: number;
  /** User id of the owner. */
  uid: number;
}

/** What a name itself is: of a symbolic link not what it leads to. */
export type LinkStat = Omit<Stat, "kind"> & { kind: FileKind | "link" };

export interface DirEntry {
  name: string;
  /** "link" is a symbolic link, "unknown" needs a stat. */
  kind: FileKind | "link" | "unknown";
}

/** All calls throw the system's error, except that a name that does not exist is null. */
export interface Fs {
  stat(path: string): Stat | null;
  /** The same without blocking anything else: for file systems whose server may be away. */
  statLater(path: string): Promise<Stat | null>;
  fstat(fd: number): Stat;
  /** Opens for reading, never blocks. `direct`: the name itself; where it is a symbolic link that is the error ELOOP. */
  open(path: string, direct?: boolean): number | null;
  openLater(path: string, direct?: boolean): Promise<{ fd: number; stat: Stat } | null>;
  close(fd: number): void;
  /** Reads at `position` (null: the next bytes of a FIFO); 0 at the end, -1 when a FIFO has nothing now. */
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number | null): number;
  /** Fewer bytes than `length`: the end. `path` tells whose server is asked. */
  readLater(path: string, fd: number, length: number, position: number): Promise<Uint8Array>;
  readdir(path: string): DirEntry[] | null;
  readdirLater(path: string): Promise<DirEntry[] | null>;
  lstat(path: string): LinkStat | null;
  lstatLater(path: string): Promise<LinkStat | null>;
  /** What a symbolic link says. */
  readlink(path: string): string | null;
  readlinkLater(path: string): Promise<string | null>;
  /** Absolute and without links; null where it leads nowhere. */
  realpath(path: string): string | null;
  realpathLater(path: string): Promise<string | null>;
  /** The real path of an open file, without asking its server; null where the system does not tell. */
  pathOf(fd: number): string | null;
  /**
   * Events of a directory's entries, or null where they are not to be had. `content`: only the content of the entry
   * changed, it did not come, go or get another name.
   */
  watch(directory: string, f: (name: string | null, content?: boolean) => void): (() => void) | null;
  traits(path: string): Traits;
}

export const nodeFs: Fs = {
  stat(path) {
    const stat = statSync(encodePath(path), { bigint: true, throwIfNoEntry: false });
    return stat ? convert(stat) : null;
  },
  statLater: (path) => orNull(async () => convert(await threadsOf(path).call("stat", encodePath(path)))),
  fstat: (fd) => convert(fstatSync(fd, { bigint: true })),
  open(path, direct = false) {
    try {
      return openSync(encodePath(path), direct ? directFlags : openFlags);
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  openLater: (path, direct = false) =>
    orNull(async () => {
      const { fd, stat } = await threadsOf(path).call("open", encodePath(path), direct ? directFlags : openFlags);
      return { fd, stat: convert(stat) };
    }),
  close: (fd) => closeSync(fd),
  read(fd, target, offset, length, position) {
    if (position !== null) return readSync(fd, target, offset, length, position);
    try {
      return readSync(fd, target, offset, length, null);
    } catch (error) {
      if (errorCode(error) === "EAGAIN") return -1;
      throw error;
    }
  },
  readLater: (path, fd, length, position) => threadsOf(path).call("read", fd, length, position),
  readdir(path) {
    try {
      const entries = readdirSync(encodePath(path), { withFileTypes: true }).map(entry);
      return entries.some(({ name }) => name.includes("\ufffd")) ? readdirBytes(path) : entries;
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  readdirLater: (path) =>
    orNull(async () => {
      const entries = await threadsOf(path).call("readdir", encodePath(path));
      return entries.map(({ name, kind }) => ({ name: typeof name === "string" ? name : decodePath(name), kind }));
    }),
  lstat(path) {
    const stat = lstatSync(encodePath(path), { bigint: true, throwIfNoEntry: false });
    return stat ? convertLink(stat) : null;
  },
  lstatLater: (path) => orNull(async () => convertLink(await threadsOf(path).call("lstat", encodePath(path)))),
  readlink(path) {
    try {
      return decodePath(readlinkSync(encodePath(path), "buffer"));
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  readlinkLater: (path) => orNull(async () => decodePath(await threadsOf(path).call("readlink", encodePath(path)))),
  realpath(path) {
    try {
      return decodePath(realpathSync.native(encodePath(path), "buffer"));
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  realpathLater: (path) => orNull(async () => decodePath(await threadsOf(path).call("realpath", encodePath(path)))),
  pathOf(fd) {
    try {
      return decodePath(readlinkSync(`/proc/self/fd/${fd}`, "buffer"));
    } catch {
      return null;
    }
  },
  watch(directory, f) {
    try {
      const watcher = watch(encodePath(directory), { persistent: false }, (event, name) =>
        f(name?.includes("\ufffd") ? null : name, event === "change"),
      );
      watcher.on("error", () => f(null));
      return () => watcher.close();
    } catch {
      return null;
    }
  },
  traits: mountTraits,
};

const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | (constants.O_NOCTTY ?? 0);
const directFlags = openFlags | (constants.O_NOFOLLOW ?? 0);
const threads = new Map<string, CallThreads>();

/** Each mount has threads of its own: a server that is away holds up only what is on it. */
function threadsOf(path: string): CallThreads {
  const mount = mountTraits(path).mount ?? "";
  let found = threads.get(mount);
  if (!found) {
    found = new CallThreads();
    threads.set(mount, found);
  }
  return found;
}

/** The system's error code ("ENOENT", …) or "". */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** Has the process or the system no descriptor left? */
export function isScarce(error: unknown): boolean {
  const code = errorCode(error);
  return code === "EMFILE" || code === "ENFILE";
}

async function orNull<T>(call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    return nullIfMissing(error);
  }
}

function nullIfMissing(error: unknown): null {
  const code = errorCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return null;
  throw error;
}

function kindOfMode(mode: number): FileKind {
  const type = mode & constants.S_IFMT;
  if (type === constants.S_IFREG) return "file";
  return type === constants.S_IFDIR ? "directory" : type === constants.S_IFIFO ? "fifo" : "other";
}

function convert(stat: RawStat): Stat {
  return {
    kind: kindOfMode(Number(stat.mode)),
    dev: Number(stat.dev),
    ino: stat.ino,
    birth: stat.birthtimeNs > 0n ? stat.birthtimeNs : 0n,
    size: Number(stat.size),
    mtime: Number(stat.mtimeNs) / 1e6,
    changed: Number(stat.ctimeNs) / 1e6,
    links: Number(stat.nlink),
    uid: Number(stat.uid),
  };
}

function convertLink(raw: RawStat): LinkStat {
  const stat = convert(raw);
  return (Number(raw.mode) & constants.S_IFMT) === constants.S_IFLNK ? { ...stat, kind: "link" } : stat;
}

/** Some names are not UTF-8, and entries with types have only text. */
function readdirBytes(path: string): DirEntry[] {
  const names = readdirSync(encodePath(path), { encoding: "buffer" });
  return names.map((name) => ({ name: decodePath(name), kind: "unknown" }));
}

type Kinds = Pick<Stats, "isFile" | "isDirectory" | "isFIFO">;

function kindOf(entry: Kinds): FileKind {
  return entry.isFile() ? "file" : entry.isDirectory() ? "directory" : entry.isFIFO() ? "fifo" : "other";
}

function entry(dirent: Kinds & { name: string; isSymbolicLink(): boolean }): DirEntry {
  if (dirent.isSymbolicLink()) return { name: dirent.name, kind: "link" };
  const kind = kindOf(dirent);
  return { name: dirent.name, kind: kind === "other" ? "unknown" : kind };
}
