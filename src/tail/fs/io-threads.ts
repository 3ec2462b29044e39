/**
 * File-system calls in threads of their own, for mounts whose server may be away: a call that hangs holds up neither this
 * thread nor the runtime's pool, which has as few as two threads, and the journal needs them.
 */
import { Worker } from "node:worker_threads";

/** Runs in the thread. What is read is handed over, not copied. */
const source = `
const { parentPort } = require("node:worker_threads");
const fs = require("node:fs");
const fields = ({ mode, dev, ino, birthtimeNs, size, mtimeNs, ctimeNs, nlink, uid }) => ({ mode, dev, ino, birthtimeNs, size, mtimeNs, ctimeNs, nlink, uid });
const asPath = (path) => typeof path === "string" ? path : Buffer.from(path);
const kind = (entry) => entry.isSymbolicLink() ? "link" : entry.isFile() ? "file" : entry.isDirectory() ? "directory" : entry.isFIFO() ? "fifo" : "unknown";
const calls = {
  stat: (path) => fields(fs.statSync(asPath(path), { bigint: true })),
  lstat: (path) => fields(fs.lstatSync(asPath(path), { bigint: true })),
  readlink: (path) => fs.readlinkSync(asPath(path), "buffer"),
  realpath: (path) => fs.realpathSync.native(asPath(path), "buffer"),
  readdir(path) {
    const entries = fs.readdirSync(asPath(path), { withFileTypes: true }).map((entry) => ({ name: entry.name, kind: kind(entry) }));
    if (!entries.some(({ name }) => name.includes("\\ufffd"))) return entries;
    return fs.readdirSync(asPath(path), { encoding: "buffer" }).map((name) => ({ name, kind: "unknown" }));
  },
  open(path, flags) {
    const fd = fs.openSync(asPath(path), flags);
    try {
      return { fd, stat: fields(fs.fstatSync(fd, { bigint: true })) };
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  },
  read(fd, length, position) {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, position));
  },
};
parentPort.on("message", ({ name, args }) => {
  try {
    const value = calls[name](...args);
    parentPort.postMessage({ value }, name === "read" ? [value.buffer] : []);
  } catch (error) {
    parentPort.postMessage({ error: { message: error.message, code: error.code } });
  }
});
`;

export interface RawStat {
  mode: bigint;
  dev: bigint;
  ino: bigint;
  birthtimeNs: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
  nlink: bigint;
  uid: bigint;
}

/** Bytes where it is not UTF-8. */
type Path = string | Uint8Array;

interface Calls {
  stat(path: Path): RawStat;
  lstat(path: Path): RawStat;
  readlink(path: Path): Uint8Array;
  realpath(path: Path): Uint8Array;
  readdir(path: Path): { name: Path; kind: "link" | "file" | "directory" | "fifo" | "unknown" }[];
  open(path: Path, flags: number): { fd: number; stat: RawStat };
  /** At most `length` bytes; fewer at the end. */
  read(fd: number, length: number, position: number): Uint8Array;
}

interface Job {
  message: { name: keyof Calls; args: unknown[] };
  resolve(value: never): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  job: Job | null;
  /** Monotonic milliseconds. */
  since: number;
}

/** Milliseconds after which a call is taken to hang, so that the others get another thread. */
const hangs = 1000;

export class CallThreads {
  readonly #most: number;
  readonly #threads: Thread[] = [];
  readonly #waiting: Job[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** At most so many threads: with as many calls that hang all others wait. */
  constructor(most = 4) {
    this.#most = most;
  }

  /** Rejects with the system's error (`code`). */
  call<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message: { name, args }, resolve, reject });
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#threads.find(({ job }) => job === null) ?? this.#another();
      if (thread === null) break;
      const job = this.#waiting.shift()!;
      thread.job = job;
      thread.since = performance.now();
      thread.worker.postMessage(job.message);
    }
    if (this.#waiting.length === 0 || this.#timer !== null || this.#threads.length >= this.#most) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#dispatch();
    }, hangs / 4);
    this.#timer.unref?.();
  }

  /** A new thread, if those there are all hang. */
  #another(): Thread | null {
    const now = performance.now();
    if (this.#threads.length >= this.#most || this.#threads.some(({ since }) => now - since < hangs)) return null;
    const thread: Thread = { worker: new Worker(source, { eval: true }), job: null, since: 0 };
    thread.worker.on("message", ({ value, error }) => this.#answered(thread, value, error));
    thread.worker.on("error", (error) => this.#ended(thread, error));
    thread.worker.unref();
    this.#threads.push(thread);
    return thread;
  }

  #answered(thread: Thread, value: unknown, error: { message: string; code: string } | undefined): void {
    const { job } = thread;
    thread.job = null;
    if (error) job?.reject(Object.assign(new Error(error.message), { code: error.code }));
    else job?.resolve(value as never);
    this.#dispatch();
  }

  #ended(thread: Thread, error: Error): void {
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    thread.job?.reject(error);
    this.#dispatch();
  }
}
