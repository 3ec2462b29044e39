/** The file system as the tailer uses it: injected, so that simulations are deterministic and faults can be played. */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  watch,
} from "node:fs";
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
  /** Names the file has; 0: deleted while open. */
  links: number;
}

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
  /** Opens for reading, never blocks. */
  open(path: string): number | null;
  openLater(path: string): Promise<{ fd: number; stat: Stat } | null>;
  close(fd: number): void;
  /** Reads at `position` (null: the next bytes of a FIFO); 0 at the end, -1 when a FIFO has nothing now. */
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number | null): number;
  /** Fewer bytes than `length`: the end. `path` tells whose server is asked. */
  readLater(path: string, fd: number, length: number, position: number): Promise<Uint8Array>;
  readdir(path: string): DirEntry[] | null;
  readdirLater(path: string): Promise<DirEntry[] | null>;
  realpath(path: string): string | null;
  /**
   * Events of a directory's entries, or null where they are not to be had. `content`: only the content of the entry
   * changed, it did not come, go or get another name.
   */
  watch(directory: string, f: (name: string | null, content?: boolean) => void): (() => void) | null;
  traits(path: string): Traits;
}

export const nodeFs: Fs = {
  stat(path) {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat ? convert(stat) : null;
  },
  async statLater(path) {
    try {
      return convert(await threadsOf(path).call("stat", path));
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  fstat: (fd) => convert(fstatSync(fd, { bigint: true })),
  open(path) {
    try {
      return openSync(path, openFlags);
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  async openLater(path) {
    try {
      const { fd, stat } = await threadsOf(path).call("open", path, openFlags);
      return { fd, stat: convert(stat) };
    } catch (error) {
      return nullIfMissing(error);
    }
  },
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
      return readdirSync(path, { withFileTypes: true }).map(entry);
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  async readdirLater(path) {
    try {
      return await threadsOf(path).call("readdir", path);
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  realpath(path) {
    try {
      return realpathSync(path);
    } catch (error) {
      return nullIfMissing(error);
    }
  },
  watch(directory, f) {
    try {
      const watcher = watch(directory, { persistent: false }, (event, name) => f(name, event === "change"));
      watcher.on("error", () => f(null));
      return () => watcher.close();
    } catch {
      return null;
    }
  },
  traits: mountTraits,
};

const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | (constants.O_NOCTTY ?? 0);
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
    links: Number(stat.nlink),
  };
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
