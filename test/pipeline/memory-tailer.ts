import type { FileId, Lines } from "../../src/lines.ts";
import type { FileState } from "../../src/state/types.ts";
import type { TailEvent, TailedFile, Tailer, TailOptions } from "../../src/tail/types.ts";

let lastId = 0;

/** Files that live in memory: name → text. */
export class MemoryFiles {
  readonly texts = new Map<string, string>();
  readonly tailers = new Set<MemoryTailer>();

  append(name: string, text: string): void {
    this.texts.set(name, (this.texts.get(name) ?? "") + text);
    for (const tailer of this.tailers) tailer.wake();
  }
}

interface Followed {
  id: FileId;
  name: string;
  read: number;
  position: number;
}

/** Follows files of `MemoryFiles` by the names in `paths`, a few lines a chunk. */
export class MemoryTailer implements Tailer {
  static readonly linesPerChunk = 4;
  /** Throws from the next call of `next`. */
  bomb: Error | null = null;
  private readonly options: TailOptions;
  private readonly source: MemoryFiles;
  private readonly followed = new Map<string, Followed>();
  private readonly changedIds = new Set<FileId>();
  private wakeListener: () => void = () => {};
  private turn = 0;

  constructor(options: TailOptions, source: MemoryFiles) {
    this.options = options;
    this.source = source;
    source.tailers.add(this);
  }

  wake(): void {
    this.wakeListener();
  }

  async start(known: readonly FileState[]): Promise<void> {
    for (const name of this.options.paths) {
      const position = known.find((state) => state.path === name)?.position ?? 0;
      const file = { id: ++lastId, name, read: position, position };
      this.followed.set(name, file);
      this.changedIds.add(file.id);
    }
  }

  next(): Lines | null {
    if (this.bomb) throw this.bomb;
    const files = [...this.followed.values()];
    for (let i = 0; i < files.length; i++) {
      const file = files[(this.turn + i) % files.length]!;
      const text = this.source.texts.get(file.name) ?? "";
      const lines = text
        .slice(file.read, text.lastIndexOf("\n") + 1)
        .split("\n")
        .slice(0, -1);
      if (lines.length === 0) continue;
      this.turn++;
      return this.chunk(file, lines.slice(0, MemoryTailer.linesPerChunk));
    }
    return null;
  }

  private chunk(file: Followed, lines: string[]): Lines {
    const text = lines.map((line) => `${line}\n`).join("");
    const ends: number[] = [];
    let at = 0;
    for (const line of lines) {
      ends.push(at + line.length);
      at += line.length + 1;
    }
    const nexts = ends.map((end) => end + 1);
    const base = file.read;
    file.read += text.length;
    return {
      file: file.id,
      base,
      to: file.read,
      bytes: Buffer.from(text),
      starts: Uint32Array.from([0, ...nexts.slice(0, -1)]),
      ends: Uint32Array.from(ends),
      nexts: Uint32Array.from(nexts),
      count: lines.length,
      lineNumber: 1,
    };
  }

  wait(): number {
    if (this.bomb) return 0;
    for (const file of this.followed.values()) {
      const text = this.source.texts.get(file.name) ?? "";
      if (text.lastIndexOf("\n") + 1 > file.read) return 0;
    }
    return Number.POSITIVE_INFINITY;
  }

  onWake(f: () => void): void {
    this.wakeListener = f;
  }

  settled(id: FileId, position: number): void {
    const file = this.byId(id);
    if (!file) return;
    if (position < file.position || position > file.read) throw new Error(`settled at ${position}`);
    file.position = position;
    this.changedIds.add(id);
  }

  snapshot(id: FileId): FileState | null {
    const file = this.byId(id);
    if (!file) return null;
    const { name, position } = file;
    const input = this.options.input;
    return {
      key: `${input} ${name}`,
      input,
      path: name,
      dev: 1,
      ino: "1",
      birth: "1",
      position,
      line: 1,
      fingerprint: { from: 0, length: 0, hash: "" },
      marker: null,
      seen: 0,
    };
  }

  changed(): FileId[] {
    const ids = [...this.changedIds];
    this.changedIds.clear();
    return ids;
  }

  forgotten(): string[] {
    return [];
  }

  file(id: FileId): TailedFile | undefined {
    return [...this.files()].find((file) => file.id === id);
  }

  *files(): Iterable<TailedFile> {
    for (const { id, name, read, position } of this.followed.values()) {
      yield {
        id,
        input: this.options.input,
        path: name,
        read,
        position,
        size: this.source.texts.get(name)?.length ?? 0,
      };
    }
  }

  get finished(): boolean {
    return this.options.once && this.wait() !== 0;
  }

  onEvent(_: (event: TailEvent) => void): void {}

  close(): void {
    this.source.tailers.delete(this);
  }

  private byId(id: FileId): Followed | undefined {
    return [...this.followed.values()].find((file) => file.id === id);
  }
}
