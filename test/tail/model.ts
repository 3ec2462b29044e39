/** Random actions of a writer, a rotator, an agent and its sink, and the oracle over what arrived. */
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { Clock } from "../../src/runtime.ts";
import type { FileState } from "../../src/state/types.ts";
import type { Judgement } from "../../src/tail/files/decisions.ts";
import type { Fs } from "../../src/tail/fs/fs.ts";
import { createTailer } from "../../src/tail/tailer.ts";
import type { Tailer, TailOptions } from "../../src/tail/types.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { defaults } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

export type Action =
  | { do: "write"; lines: number }
  | { do: "partial" }
  | { do: "rename"; create: boolean }
  | { do: "copytruncate"; regrow: number }
  | { do: "truncate"; regrow: number }
  | { do: "delete" }
  | { do: "recreate"; lines: number }
  | { do: "renameOver"; lines: number }
  | { do: "save"; lines: number }
  | { do: "compress"; zstd: boolean }
  | { do: "renumber" }
  | { do: "stop" }
  | { do: "kill" }
  | { do: "start" }
  | { do: "steps"; n: number }
  | { do: "tick"; ms: number }
  | { do: "settle"; share: number }
  | { do: "checkpoint" };

export interface World {
  /** Rotated names match the patterns too: what was rotated twice between two looks may come out of order. */
  wide: boolean;
  /** Every content begins with the same 1.2 KB: unread generations cannot be told apart, so their order is not asked for. */
  header: boolean;
  /** Bytes of a line's padding. */
  padding: number;
  maxOpenFiles: number;
  /**
   * What tells files apart: birth times and inode numbers; these alone, though they are given out again; or neither, for
   * both change by themselves. Without birth times only what was read proves which file a file is: lines that nobody had
   * read when their file was moved, copied, compressed or renumbered may come twice, but must come. Where nothing tells
   * files apart and the rotated names match too, a walk may meet a file between two moves: read lines may come again then.
   */
  identity: "birth" | "inode" | "none";
}

const generations = 4;
const rotations = new Set<Action["do"]>([
  "rename",
  "copytruncate",
  "truncate",
  "delete",
  "recreate",
  "renameOver",
  "save",
  "compress",
]);

/** What writers and rotators do to a disk; in memory or real. */
export interface Disk {
  readonly fs: Fs;
  readonly clock: Clock & { advance(ms: number): void };
  readonly directory: string;
  exists(path: string): boolean;
  size(path: string): number;
  append(path: string, text: string): void;
  create(path: string): void;
  rename(from: string, to: string): void;
  truncate(path: string): void;
  copy(from: string, to: string): void;
  unlink(path: string): void;
  compress(path: string, to: string, codec: (bytes: Buffer) => Buffer): void;
  /** Gives all files other inode numbers, where it can. */
  renumber(): void;
  contents(): Buffer[];
  numbers(path: string): number[];
}

/** A disk in memory; `onLastClose` hears of the content of a deleted file whose last descriptor is closed. */
export function memoryDisk(onLastClose: (content: Buffer) => void, identity: World["identity"]): Disk {
  const clock = new ManualClock();
  const fs = new MemoryFs(clock);
  if (identity !== "birth") fs.births = identity === "inode" ? "none" : "changing";
  fs.traitsOfAll = { network: false, stable: identity !== "none" };
  fs.onLastClose = (inode) => onLastClose(inode.data);
  return {
    fs,
    clock,
    directory: "/log",
    exists: (path) => fs.names.has(path),
    size: (path) => fs.names.get(path)?.data.length ?? 0,
    append: (path, text) => fs.append(path, text),
    create: (path) => fs.create(path),
    rename: (from, to) => fs.rename(from, to),
    truncate: (path) => fs.truncate(path),
    copy: (from, to) => fs.copy(from, to),
    unlink: (path) => fs.unlink(path),
    compress: (path, to, codec) => fs.compress(path, to, codec),
    renumber: () => fs.renumber(),
    numbers: (path) => numbersIn(fs.names.get(path)?.data ?? Buffer.alloc(0)),
    contents: () => [...fs.names.values()].map(({ data }) => data),
  };
}

export class Model {
  readonly disk: Disk;
  readonly problems: string[] = [];
  readonly trace: string[] = [];
  readonly #path: string;
  readonly #world: World;
  readonly #judgement: Partial<Judgement>;
  readonly #options: TailOptions;
  #tailer: Tailer | null = null;
  #journal = new Map<string, FileState>();
  #written = 0;
  #partial = false;
  #partials = 0;
  /** The incomplete line at the end of a file that nobody touched since; 0: none. */
  #unfinished = 0;
  #last = -1;
  /** Rotations since the agent last looked: of several that nobody saw the order is not asked for. */
  #unseen = 0;
  /** Rotations since every file was surely looked at: of two saves the first took the old file's name. */
  #unlooked = 0;
  /** What the last save took over, until it was surely seen. */
  #saved: number[] = [];
  #ordered = true;
  readonly #delivered = new Map<number, number>();
  readonly #mayRepeat = new Map<number, number>();
  #flying: { file: number; to: number; key: string; records: { number: number; end: number }[] }[] = [];
  #recent: { key: string; number: number; end: number }[] = [];

  constructor(world: World, judgement: Partial<Judgement> = {}, makeDisk = memoryDisk) {
    this.#world = world;
    this.#judgement = judgement;
    this.disk = makeDisk((content) => {
      const missing = numbersIn(content).filter((number) => !this.#delivered.has(number) && !this.#onDisk(number));
      if (this.#tailer && missing.length > 0)
        this.problems.push(`closed a deleted file with unread lines ${missing.slice(0, 5)}`);
    }, world.identity);
    const path = `${this.disk.directory}/app.log`;
    this.#path = path;
    this.#options = {
      ...defaults,
      paths: [world.wide ? `${path}*` : path],
      from: "beginning",
      pollMin: 10,
      pollMax: 1000,
      maxOpenFiles: world.maxOpenFiles,
    };
    this.#ordered = !world.header && !world.wide;
    this.#write(3);
  }

  async run(actions: readonly Action[]): Promise<void> {
    await this.#start();
    this.#steps(5);
    for (const action of actions) await this.#do(action);
    await this.#finish();
  }

  async #do(action: Action): Promise<void> {
    const path = this.#path;
    this.trace.push(JSON.stringify(action));
    this.disk.clock.advance(4.1);
    if (rotations.has(action.do) && ++this.#unseen > 1) this.#ordered = false;
    if (this.#tailer && (action.do === "tick" || action.do === "steps")) this.#unseen = 0;
    if (rotations.has(action.do)) {
      this.#unfinished = 0;
      this.#unlooked++;
    } else if (this.#tailer && action.do === "tick" && action.ms >= 1500) {
      this.#unlooked = 0;
      this.#saved = [];
    }
    // Rotated on, or the agent stopped, before the save was seen: nothing tells of it.
    if (rotations.has(action.do) || action.do === "stop" || action.do === "kill") this.#excuse(this.#saved.splice(0));
    if (this.#world.identity !== "birth" && (rotations.has(action.do) || action.do === "renumber"))
      this.#excuseUnread();
    switch (action.do) {
      case "write":
        return this.#write(action.lines);
      case "partial":
        // Numbered at its end too: under one header nothing but the bytes before a position tells contents apart, and of
        // 64 equal bytes at the same position nobody could.
        this.disk.append(path, `P${++this.#partials}:${"p".repeat(this.#world.padding)};${this.#partials}`);
        this.#partial = true;
        this.#unfinished = this.#partials;
        return;
      case "rename":
        this.#shift();
        this.disk.rename(path, `${path}.1`);
        if (action.create) this.disk.create(path);
        return;
      case "copytruncate":
        if (!this.disk.exists(path)) return;
        this.#shift();
        this.disk.copy(path, `${path}.1`);
        this.disk.clock.advance(4.1);
        this.disk.truncate(path);
        if (action.regrow > 0) this.#write(action.regrow);
        return;
      case "truncate":
        this.disk.truncate(path);
        if (action.regrow > 0) this.#write(action.regrow);
        return;
      case "delete":
        return this.disk.unlink(path);
      case "recreate":
        this.disk.unlink(path);
        return this.#write(action.lines);
      case "renameOver": {
        const aside = `${this.disk.directory}/new.tmp`;
        this.disk.create(aside);
        this.#write(action.lines, aside);
        return this.disk.rename(aside, path);
      }
      case "save": {
        if (!this.disk.exists(path)) return;
        if (this.#partial) this.disk.append(path, "Qq\n");
        this.#partial = false;
        // Without the old file's descriptor, or a kilobyte of it, nothing proves that it is a save.
        const { identity, maxOpenFiles } = this.#world;
        if (
          identity !== "birth" ||
          maxOpenFiles < 100 ||
          !this.#tailer ||
          this.disk.size(path) < 1024 ||
          this.#unlooked > 1
        )
          this.#excuse(this.disk.numbers(path));
        else this.#saved = this.disk.numbers(path);
        const aside = `${this.disk.directory}/new.tmp`;
        this.disk.copy(path, aside);
        this.#write(action.lines, aside);
        if (this.disk.size(path) < 1024) this.#excuse(this.disk.numbers(aside));
        return this.disk.rename(aside, path);
      }
      case "compress":
        for (let i = 1; i <= generations; i++) {
          if (!this.disk.exists(`${path}.${i}`)) continue;
          if (action.zstd) this.disk.compress(`${path}.${i}`, `${path}.${i}.zst`, zstdCompressSync);
          else this.disk.compress(`${path}.${i}`, `${path}.${i}.gz`, gzipSync);
          return;
        }
        return;
      case "renumber":
        if (this.#world.identity === "none") this.disk.renumber();
        return;
      case "stop":
        return this.#stop();
      case "kill":
        return this.#kill();
      case "start":
        return this.#start();
      case "steps":
        return this.#steps(action.n);
      case "tick":
        return this.#tick(action.ms);
      case "settle":
        return this.#settle(action.share);
      case "checkpoint":
        return this.#checkpoint();
    }
  }

  #write(lines: number, to = this.#path): void {
    const path = this.#path;
    let text = "";
    if (this.#world.header && this.disk.size(to) === 0) text += `H${"header".repeat(200)}\n`;
    if (this.#partial && to === path) {
      text += "Qq\n";
      this.#partial = false;
      this.#unfinished = 0;
    }
    for (let i = 0; i < lines; i++) text += line(this.#written++, this.#world.padding);
    this.disk.append(to, text);
    this.disk.clock.advance(4.1); // more than a tick: of the same tick nobody can tell which came first
  }

  #shift(): void {
    const path = this.#path;
    for (const end of ["", ".gz", ".zst"]) this.disk.unlink(`${path}.${generations}${end}`);
    for (let i = generations - 1; i >= 1; i--) {
      for (const end of ["", ".gz", ".zst"]) this.disk.rename(`${path}.${i}${end}`, `${path}.${i + 1}${end}`);
    }
  }

  async #start(): Promise<void> {
    if (this.#tailer) return;
    const tailer = createTailer(this.#options, {
      fs: this.disk.fs,
      clock: this.disk.clock,
      random: Math.random,
      judgement: this.#judgement,
    });
    this.#tailer = tailer;
    tailer.onEvent((event) =>
      this.trace.push(
        `  ${event.level} ${event.name}: ${event.message}${event.cause ? ` ${String((event.cause as Error).stack)}` : ""}`,
      ),
    );
    await tailer.start(JSON.parse(JSON.stringify([...this.#journal.values()])));
    this.#checkpoint();
  }

  #stop(): void {
    if (!this.#tailer) return;
    this.#settle(1);
    this.#checkpoint();
    const tailer = this.#tailer;
    this.#tailer = null;
    tailer.close();
    this.#recent = [];
  }

  /** What was delivered and is not in the journal may come again. */
  #kill(): void {
    if (!this.#tailer) return;
    const tailer = this.#tailer;
    this.#tailer = null;
    tailer.close();
    for (const { key, number, end } of this.#recent) {
      if (end > (this.#journal.get(key)?.position ?? 0))
        this.#mayRepeat.set(number, (this.#mayRepeat.get(number) ?? 0) + 1);
    }
    this.#recent = [];
    this.#flying = [];
  }

  #steps(n: number): void {
    const tailer = this.#tailer;
    for (let i = 0; tailer && i < n; i++) {
      const lines = tailer.next();
      if (!lines) return;
      const key = tailer.snapshot(lines.file)!.key;
      const records: { number: number; end: number }[] = [];
      for (let r = 0; r < lines.count; r++) {
        const text = Buffer.from(lines.bytes.subarray(lines.starts[r], lines.ends[r])).toString();
        const number = this.#judge(text);
        if (number === null) continue;
        records.push({ number, end: lines.base + lines.nexts[r]! });
        this.#recent.push({ key, number, end: lines.base + lines.nexts[r]! });
      }
      this.trace.push(`    got ${lines.base}..${lines.to} of ${lines.file} ${records.map((x) => x.number)}`);
      this.#flying.push({ file: lines.file, to: lines.to, key, records });
    }
  }

  /** Checks one record; its number, or null for what is not a numbered line. */
  #judge(text: string): number | null {
    const parsed = parse(text);
    if (parsed === null) {
      if (!/^(H(header)*|(P\d+:p*;\d+)*(Qq)?)$/.test(text)) this.problems.push(`garbage: ${text.slice(0, 80)}`);
      if (this.#unfinished > 0 && text.includes(`P${this.#unfinished}:`) && !text.endsWith("Qq"))
        this.problems.push("an incomplete line was sent");
      return null;
    }
    const seen = this.#delivered.get(parsed) ?? 0;
    this.#delivered.set(parsed, seen + 1);
    if (seen > 0) {
      const tokens = this.#mayRepeat.get(parsed) ?? 0;
      if (tokens === 0) this.problems.push(`line ${parsed} came again`);
      else this.#mayRepeat.set(parsed, tokens - 1);
    } else if (parsed < this.#last && this.#ordered) this.problems.push(`line ${parsed} came after ${this.#last}`);
    else this.#last = parsed;
    return parsed;
  }

  #tick(ms: number): void {
    const end = this.disk.clock.monotonic() + ms;
    for (;;) {
      this.#steps(1000);
      const left = end - this.disk.clock.monotonic();
      if (left <= 0) return;
      this.disk.clock.advance(Math.min(left, Math.max(1, this.#tailer?.wait() ?? left)));
    }
  }

  /** Settles the oldest chunks in flight, the last of them perhaps in part. */
  #settle(share: number): void {
    let n = Math.ceil(this.#flying.length * share);
    while (n-- > 0) {
      const chunk = this.#flying.shift()!;
      const part =
        share < 1 && n === 0 && chunk.records.length > 1 ? chunk.records[chunk.records.length >> 1]!.end : chunk.to;
      this.#tailer?.settled(chunk.file, part);
      if (part < chunk.to) this.#flying.unshift(chunk);
    }
  }

  #checkpoint(): void {
    if (!this.#tailer) return;
    for (const id of this.#tailer.changed()) {
      const state = this.#tailer.snapshot(id);
      if (state) this.#journal.set(state.key, JSON.parse(JSON.stringify(state)));
    }
    for (const key of this.#tailer.forgotten()) this.#journal.delete(key);
    this.#recent = this.#recent.filter(({ key, end }) => end > (this.#journal.get(key)?.position ?? 0));
  }

  /** Runs on until nothing more can come, then asks for everything that could be reached. */
  async #finish(): Promise<void> {
    this.trace.push("finish");
    await this.#start();
    for (let i = 0; i < 40; i++) {
      this.#tick(i < 20 ? 500 : 10_000);
      this.#settle(1);
      this.#checkpoint();
    }
    const wanted = new Set<number>();
    for (const content of this.disk.contents()) for (const number of numbersIn(content)) wanted.add(number);
    const missing = [...wanted].filter((number) => !this.#delivered.has(number)).sort((a, b) => a - b);
    if (missing.length > 0) this.problems.push(`never came: ${missing.length} lines, ${missing.slice(0, 8)}`);
    this.#stop();
    const after = this.problems.length;
    await this.#start();
    this.#tick(3000);
    if (this.problems.length > after) this.problems.push("(after a clean stop)");
    this.#stop();
  }

  #excuseUnread(): void {
    const all = this.#world.identity === "none" && this.#world.wide;
    for (const content of this.disk.contents())
      for (const number of numbersIn(content))
        if (all || !this.#delivered.has(number))
          this.#mayRepeat.set(number, Math.max(1, this.#mayRepeat.get(number) ?? 0));
  }

  /** These lines may come again, from each of several files that begin alike: after a kill from the next one too. */
  #excuse(numbers: readonly number[]): void {
    for (const number of numbers) this.#mayRepeat.set(number, 3 + (this.#mayRepeat.get(number) ?? 0));
  }

  #onDisk(number: number): boolean {
    return this.disk.contents().some((content) => numbersIn(content).includes(number));
  }
}

function line(number: number, padding: number): string {
  return `${number} ${"x".repeat(padding)} ${(number * 7919) % 9973};\n`;
}

function parse(text: string): number | null {
  const match = /^(\d+) x* (\d+);$/.exec(text);
  if (!match) return null;
  const number = Number(match[1]);
  return Number(match[2]) === (number * 7919) % 9973 ? number : null;
}

export function numbersIn(data: Buffer): number[] {
  const plain =
    data[0] === 0x1f && data[1] === 0x8b
      ? gunzipSync(data)
      : data[0] === 0x28 && data[1] === 0xb5
        ? zstdDecompressSync(data)
        : data;
  const numbers: number[] = [];
  for (const text of plain.toString().split("\n")) {
    const number = parse(text);
    if (number !== null) numbers.push(number);
  }
  return numbers;
}
