/** Follows the files of one input: discover → poll → read → lines. Everything synchronous, one chunk per call of `next`. */
import type { FileId, Lines } from "../lines.ts";
import type { Clock, Random } from "../runtime.ts";
import type { FileState } from "../state/types.ts";
import { Discovery, type Found } from "./discover.ts";
import { FollowedFile } from "./file.ts";
import type { Fs, Stat } from "./fs.ts";
import { CheckHeap } from "./heap.ts";
import { fingerprintBytes, holds, identityOfStat, inodeKey, markerBytes, readFully, sameFile } from "./identity.ts";
import { Reader } from "./reader.ts";
import { PlainSource } from "./source.ts";
import type { TailEvent, TailedFile, Tailer, TailOptions } from "./types.ts";
import { DirectoryWatch } from "./watch.ts";

export interface TailEnv {
  fs: Fs;
  clock: Clock;
  random: Random;
}

const discoverMin = 1000;
const discoverMax = 4000;
const sliceSize = 1000;
/** A renamed or deleted file is let go when it was quiet for so long, settled, and something newer sits at its path. */
const releaseAfter = 60_000;

let lastId = 0;

export function createTailer(options: TailOptions, env: TailEnv): Tailer {
  return new FileTailer(options, env);
}

class FileTailer implements Tailer {
  readonly #options: TailOptions;
  readonly #fs: Fs;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #discovery: Discovery;
  readonly #reader: Reader;
  readonly #watch: DirectoryWatch;
  readonly #heap = new CheckHeap<FollowedFile>();
  readonly #files = new Map<FileId, FollowedFile>();
  readonly #byPath = new Map<string, FollowedFile>();
  readonly #byInode = new Map<string, FollowedFile>();
  readonly #ready: FollowedFile[] = [];
  readonly #changed = new Set<FileId>();
  readonly #scanMark: FollowedFile;
  #forgotten: string[] = [];
  #onEvent: (event: TailEvent) => void = () => {};
  #onWake: () => void = () => {};
  #nextDiscovery = 0;
  #discoverInterval = discoverMin;
  #firstScan = false;
  #scanning = false;
  #closed = false;

  constructor(options: TailOptions, env: TailEnv) {
    this.#options = options;
    this.#fs = env.fs;
    this.#clock = env.clock;
    this.#random = env.random;
    this.#discovery = new Discovery(env.fs, options.paths, options.exclude);
    this.#reader = new Reader(options, (event) => this.#onEvent(event));
    this.#watch = new DirectoryWatch(env.fs, options.watch && !options.once, (path) => this.#hint(path));
    this.#scanMark = new FollowedFile({
      id: ++lastId,
      key: `${options.input}\u0000scanned`,
      input: options.input,
      path: "",
      identity: { dev: 0, ino: 0n, birth: 0n },
      position: 0,
      line: 1,
    });
    this.#scanMark.done = true;
  }

  async start(known: readonly FileState[]): Promise<void> {
    const states: FileState[] = [];
    let scanned = false;
    for (const state of known) {
      if (state.input !== this.#options.input) continue;
      if (state.key === this.#scanMark.key) scanned = true;
      else states.push(state);
    }
    for (const state of states) if (!state.done) this.#resume(state);
    this.#firstScan = !scanned;
    await this.#discover();
    this.#firstScan = false;
    if (!scanned) this.#changed.add(this.#scanMark.id);
    if (this.#options.once) for (const file of this.#files.values()) file.limit = file.size;
  }

  next(): Lines | null {
    const now = this.#clock.monotonic();
    this.#runDue(now);
    for (let turns = this.#ready.length; turns > 0; turns--) {
      const file = this.#ready.shift()!;
      file.queued = false;
      if (!this.#files.has(file.id) || file.done) continue;
      if (file.after) {
        if (!file.after.drained && this.#files.has(file.after.id)) {
          this.#enqueue(file);
          continue;
        }
        file.after = null;
      }
      const lines = this.#take(file, now);
      if (lines) return lines;
    }
    return null;
  }

  wait(): number {
    const now = this.#clock.monotonic();
    for (const file of this.#ready) if (!file.after || file.after.drained || file.after.queued) return 0;
    let due = this.#options.once ? Number.POSITIVE_INFINITY : this.#nextDiscovery;
    const first = this.#heap.first();
    if (first) due = Math.min(due, first.due);
    return Math.max(0, due - now);
  }

  onWake(f: () => void): void {
    this.#onWake = f;
  }

  settled(id: FileId, position: number): void {
    const file = this.#files.get(id);
    if (file?.pending.settle(position)) this.#changed.add(id);
  }

  snapshot(id: FileId): FileState | null {
    const file = id === this.#scanMark.id ? this.#scanMark : this.#files.get(id);
    return file ? file.state(this.#clock.now()) : null;
  }

  changed(): FileId[] {
    const ids = [...this.#changed];
    this.#changed.clear();
    return ids;
  }

  forgotten(): string[] {
    const keys = this.#forgotten;
    this.#forgotten = [];
    return keys;
  }

  file(id: FileId): TailedFile | undefined {
    const file = this.#files.get(id);
    return file && view(file);
  }

  *files(): Iterable<TailedFile> {
    for (const file of this.#files.values()) yield view(file);
  }

  get finished(): boolean {
    if (!this.#options.once || this.#scanning) return false;
    for (const file of this.#files.values()) if (!file.done && !file.drained && file.read < file.limit) return false;
    return true;
  }

  onEvent(f: (event: TailEvent) => void): void {
    this.#onEvent = f;
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    for (const file of this.#files.values()) this.#closeSource(file);
  }

  #runDue(now: number): void {
    if (!this.#options.once && now >= this.#nextDiscovery && !this.#scanning) void this.#discover();
    for (let i = 0; i < sliceSize; i++) {
      const file = this.#heap.first();
      if (!file || file.due > now) return;
      this.#poll(file, now);
    }
  }

  async #discover(): Promise<void> {
    this.#scanning = true;
    let changes = 0;
    const scan = this.#discovery.scan(
      (path) => this.#byPath.has(path),
      (found) => {
        if (this.#found(found)) changes++;
      },
      (path, error) => this.#event("warn", "file-unreadable", `cannot look into ${path}`, { path, cause: error }),
    );
    if (scan) await scan;
    this.#scanning = false;
    if (this.#closed) return;
    this.#discoverInterval = changes > 0 ? discoverMin : Math.min(discoverMax, this.#discoverInterval * 2);
    this.#nextDiscovery = this.#clock.monotonic() + this.#discoverInterval;
    this.#watch.set(this.#discovery.directories);
  }

  /** A path that is not followed by name. True if that changed anything. */
  #found({ path, stat }: Found, after: FollowedFile | null = null): boolean {
    if (stat.kind !== "file") return false;
    const known = this.#byInode.get(inodeKey(stat));
    if (known && sameFile(known.identity, stat, this.#fs.traits(path).stable)) {
      if (known.attached && known.path !== path) {
        const there = this.#tryStat(known.path);
        if (there === undefined || (there && sameFile(there, stat, false))) return false; // a second name
      }
      this.#byPath.delete(known.path);
      if (known.path !== path)
        this.#event("info", "file-renamed", `${known.path} is now ${path}`, { path, file: known.id });
      known.path = path;
      known.attached = true;
      known.done = false;
      this.#byPath.set(path, known);
      this.#changed.add(known.id);
      this.#schedule(known, 0);
      return true;
    }
    return this.#add(path, after) !== null;
  }

  #add(path: string, after: FollowedFile | null): FollowedFile | null {
    let fd: number | null;
    try {
      fd = this.#fs.open(path);
    } catch (error) {
      this.#event("warn", "file-unreadable", `cannot open ${path}`, { path, cause: error });
      return null;
    }
    if (fd === null) return null;
    const real = this.#fs.fstat(fd);
    const position = this.#firstScan ? this.#startPosition(fd, real.size) : 0;
    const file = new FollowedFile({
      id: ++lastId,
      key: this.#newKey(),
      input: this.#options.input,
      path,
      identity: identityOfStat(real),
      position,
      line: 1,
    });
    file.source = new PlainSource(this.#fs, fd);
    this.#readEnds(file, fd);
    file.after = after;
    file.size = real.size;
    file.mtime = real.mtime;
    this.#register(file);
    this.#event("info", "file-found", `following ${path}`, { path, file: file.id });
    if (file.size > file.read) this.#enqueue(file);
    return file;
  }

  #register(file: FollowedFile): void {
    this.#files.set(file.id, file);
    this.#byInode.set(inodeKey(file.identity), file);
    if (file.attached) this.#byPath.set(file.path, file);
    this.#changed.add(file.id);
    file.lastData = this.#clock.monotonic();
    this.#schedule(file, this.#options.pollMin);
  }

  /** Reads head and tail at the file's position, as far as they are not known. */
  #readEnds(file: FollowedFile, fd: number): void {
    const head = readFully(this.#fs, fd, 0, fingerprintBytes);
    let length = head.length;
    while (length > 0 && head[length - 1] === 0) length--;
    file.growHead(head.subarray(0, length), 0);
    const from = Math.max(0, file.read - markerBytes);
    file.setTail(readFully(this.#fs, fd, from, file.read - from));
    file.markStart();
  }

  #startPosition(fd: number, size: number): number {
    const { from, once } = this.#options;
    if (from === "beginning" || (once && from === "end")) return 0;
    if (from === "end") {
      const back = Math.min(size, 65_536);
      const bytes = readFully(this.#fs, fd, size - back, back);
      const last = bytes.lastIndexOf(10);
      return last >= 0 ? size - back + last + 1 : back === size ? 0 : size;
    }
    let position = from < 0 ? Math.max(0, size + from) : Math.min(size, from);
    if (position === 0) return 0;
    position--;
    for (;;) {
      const bytes = readFully(this.#fs, fd, position, 65_536);
      const newline = bytes.indexOf(10);
      if (newline >= 0) return position + newline + 1;
      position += bytes.length;
      if (bytes.length === 0) return position;
    }
  }

  #resume(state: FileState): void {
    const file = FollowedFile.resume(++lastId, state);
    let stat = this.#tryStat(state.path);
    let path = state.path;
    const stable = this.#fs.traits(state.path).stable;
    if (!stat || !sameFile(stat, file.identity, stable)) {
      const sibling = this.#siblingByInode(file);
      if (sibling) ({ path, stat } = sibling);
    }
    const fd = stat?.kind === "file" ? this.#fs.open(path) : null;
    if (fd === null || !stat) {
      this.#forget(state.key);
      return;
    }
    if (stat.size < state.position || !holds(this.#fs, fd, state.fingerprint) || !holds(this.#fs, fd, state.marker)) {
      this.#fs.close(fd);
      this.#event("warn", "file-truncated", `${path} is not what it was before`, { path });
      this.#forget(state.key);
      return;
    }
    file.source = new PlainSource(this.#fs, fd);
    file.path = path;
    file.attached = path === state.path;
    file.replaced = !file.attached;
    file.identity = identityOfStat(stat);
    file.size = stat.size;
    file.mtime = stat.mtime;
    this.#readEnds(file, fd);
    this.#register(file);
    if (file.size > file.read) this.#enqueue(file);
    if (!file.attached) {
      const there = this.#tryStat(state.path);
      if (there && this.#byInode.get(inodeKey(there)) === undefined && there.kind === "file") {
        const successor = this.#add(state.path, file);
        if (successor) this.#enqueue(successor);
      }
    }
  }

  #siblingByInode(file: FollowedFile): { path: string; stat: Stat } | null {
    const slash = file.path.lastIndexOf("/");
    const directory = slash < 0 ? "." : file.path.slice(0, slash) || "/";
    try {
      for (const entry of this.#fs.readdir(directory) ?? []) {
        if (entry.kind !== "file" && entry.kind !== "unknown") continue;
        const path = slash < 0 ? entry.name : `${file.path.slice(0, slash)}/${entry.name}`;
        const stat = this.#tryStat(path);
        if (stat && sameFile(stat, file.identity, this.#fs.traits(path).stable)) return { path, stat };
      }
    } catch (error) {
      this.#event("warn", "file-unreadable", `cannot list ${directory}`, { path: directory, cause: error });
    }
    return null;
  }

  #poll(file: FollowedFile, now: number): void {
    file.lastLook = this.#clock.now();
    this.#schedule(file, Math.min(this.#options.pollMax, Math.max(this.#options.pollMin, file.interval * 2)));
    try {
      if (file.attached) {
        const stat = this.#fs.stat(file.path);
        if (stat === null || !sameFile(stat, file.identity, this.#fs.traits(file.path).stable)) this.#moved(file, stat);
        else this.#looked(file, stat);
      } else if (file.source instanceof PlainSource) this.#looked(file, this.#fs.fstat(file.source.fd));
      if (!file.attached) this.#release(file, now);
    } catch (error) {
      if (!file.unreadable)
        this.#event("warn", "file-unreadable", `cannot look at ${file.path}`, {
          path: file.path,
          file: file.id,
          cause: error,
        });
      file.unreadable = true;
    }
  }

  #looked(file: FollowedFile, stat: Stat): void {
    file.unreadable = false;
    file.links = stat.links;
    const shrunk = stat.size < file.size;
    const grown = stat.size > file.size || stat.mtime !== file.mtime;
    file.size = stat.size;
    file.mtime = stat.mtime;
    if (stat.size < file.read) this.#truncated(file);
    else if (grown || shrunk) this.#enqueue(file);
  }

  /** The name is gone or leads to another file. */
  #moved(file: FollowedFile, stat: Stat | null): void {
    this.#byPath.delete(file.path);
    file.attached = false;
    file.drained = false;
    this.#nextDiscovery = 0;
    this.#event("info", "file-renamed", `${file.path} was ${stat ? "replaced" : "renamed or deleted"}`, {
      path: file.path,
      file: file.id,
    });
    if (!file.source) this.#open(file);
    if (file.source instanceof PlainSource) {
      const own = this.#fs.fstat(file.source.fd);
      file.size = own.size;
      file.links = own.links;
      this.#enqueue(file);
    } else file.drained = true;
    if (stat && stat.kind === "file" && this.#options.reopen) {
      file.replaced = true;
      this.#found({ path: file.path, stat, named: false }, file);
    }
  }

  /** The content before the position is not what was read: what follows is a new file. */
  #truncated(file: FollowedFile): void {
    this.#event("warn", "file-truncated", `${file.path} was truncated at ${file.read}`, {
      path: file.path,
      file: file.id,
      bytes: Math.max(0, file.size - file.read),
    });
    const source = file.source;
    file.source = null;
    const { path, attached } = file;
    this.#retire(file);
    const next = new FollowedFile({
      id: ++lastId,
      key: this.#newKey(),
      input: file.input,
      path,
      identity: file.identity,
      position: 0,
      line: 1,
    });
    next.attached = attached;
    next.source = source;
    next.size = file.size;
    next.mtime = file.mtime;
    this.#register(next);
    this.#enqueue(next);
  }

  /** Lets a renamed or deleted file go once nothing can come from it any more. */
  #release(file: FollowedFile, now: number): void {
    if (now - file.lastData < releaseAfter || !file.drained || !file.settledAll) return;
    if (!file.replaced && file.links > 0) return;
    if (file.size > file.read && !file.final) {
      file.final = true;
      this.#enqueue(file);
      return;
    }
    this.#event("debug", "file-released", `let go of ${file.path}`, { path: file.path, file: file.id });
    this.#retire(file);
  }

  #retire(file: FollowedFile): void {
    this.#closeSource(file);
    this.#heap.remove(file);
    if (this.#byInode.get(inodeKey(file.identity)) === file) this.#byInode.delete(inodeKey(file.identity));
    if (this.#byPath.get(file.path) === file) this.#byPath.delete(file.path);
    file.done = true;
    file.drained = true;
    this.#changed.add(file.id);
  }

  #take(file: FollowedFile, now: number): Lines | null {
    if (!file.source && !this.#open(file)) return null;
    try {
      const result = this.#reader.read(file, file.source!, { records: 65_536, flushGroup: this.#groupDue(file, now) });
      if (result === "changed") {
        this.#truncated(file);
        return null;
      }
      if (result === "later") return null;
      if (result === "end") {
        file.drained = true;
        if (this.#options.multiline && file.scanned > file.read)
          this.#schedule(file, this.#options.multiline.timeoutMs);
        return null;
      }
      file.drained = false;
      file.lastData = now;
      file.used = now;
      this.#schedule(file, this.#options.pollMin);
      this.#enqueue(file);
      return result;
    } catch (error) {
      this.#event("warn", "file-unreadable", `cannot read ${file.path}`, {
        path: file.path,
        file: file.id,
        cause: error,
      });
      return null;
    }
  }

  #groupDue(file: FollowedFile, now: number): boolean {
    return this.#options.multiline !== null && now - file.lastData >= this.#options.multiline.timeoutMs;
  }

  #open(file: FollowedFile): boolean {
    try {
      const fd = this.#fs.open(file.path);
      if (fd === null) return false;
      if (!sameFile(this.#fs.fstat(fd), file.identity, this.#fs.traits(file.path).stable)) {
        this.#fs.close(fd);
        return false;
      }
      file.source = new PlainSource(this.#fs, fd);
      return true;
    } catch (error) {
      this.#event("warn", "file-unreadable", `cannot open ${file.path}`, {
        path: file.path,
        file: file.id,
        cause: error,
      });
      return false;
    }
  }

  #closeSource(file: FollowedFile): void {
    if (!file.source) return;
    file.source.close();
    file.source = null;
  }

  #hint(path: string | null): void {
    if (this.#closed) return;
    const now = this.#clock.monotonic();
    const file = path === null ? undefined : this.#byPath.get(path);
    if (file) this.#heap.schedule(file, Math.min(file.due, now));
    else this.#nextDiscovery = Math.min(this.#nextDiscovery, now);
    this.#onWake();
  }

  #enqueue(file: FollowedFile): void {
    if (file.queued || file.done) return;
    file.queued = true;
    this.#ready.push(file);
  }

  #schedule(file: FollowedFile, interval: number): void {
    file.interval = interval;
    if (!file.done) this.#heap.schedule(file, this.#clock.monotonic() + interval);
  }

  #tryStat(path: string): Stat | null | undefined {
    try {
      return this.#fs.stat(path);
    } catch {
      return undefined;
    }
  }

  #forget(key: string): void {
    this.#forgotten.push(key);
  }

  #newKey(): string {
    return (
      Math.floor(this.#random() * 2 ** 48)
        .toString(16)
        .padStart(12, "0") +
      Math.floor(this.#random() * 2 ** 48)
        .toString(16)
        .padStart(12, "0")
    );
  }

  #event(level: TailEvent["level"], name: string, message: string, more: Partial<TailEvent> = {}): void {
    this.#onEvent({ level, name, message, ...more });
  }
}

function view(file: FollowedFile): TailedFile {
  return { id: file.id, input: file.input, path: file.path, read: file.read, position: file.position, size: file.size };
}
