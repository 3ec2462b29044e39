import type { JournalFile, JournalFs } from "../../src/state/files.ts";

/** Thrown by the operation at which a test crashes the process. */
export class Crash extends Error {}

interface Node {
  data: Buffer;
  synced: Buffer;
}

/**
 * A file system in memory that knows what a power cut leaves: only synced data under names whose directory was synced.
 * `before` is called before every operation and may throw.
 */
export class MemoryFs implements JournalFs {
  names = new Map<string, Node>();
  private syncedNames = new Map<string, Node>();
  readonly operations: string[] = [];
  before: (operation: string) => void = () => {};

  put(path: string, data: Buffer | string): void {
    const bytes = Buffer.from(data);
    this.names.set(path, { data: bytes, synced: bytes });
    this.syncedNames.set(path, this.names.get(path)!);
  }

  text(path: string): string | undefined {
    return this.names.get(path)?.data.toString();
  }

  /** The disk after a power cut; `keep` bytes of what was not synced survive in every file. */
  powerCut(keep = 0): MemoryFs {
    const after = new MemoryFs();
    for (const [path, node] of this.syncedNames) {
      const extra = node.data.subarray(node.synced.length, node.synced.length + keep);
      after.put(path, Buffer.concat([node.synced, extra]));
    }
    return after;
  }

  /** The disk after the process died: everything written is there. */
  killed(): MemoryFs {
    const after = new MemoryFs();
    for (const [path, node] of this.names) after.put(path, node.data);
    return after;
  }

  private step(operation: string): void {
    this.before(operation);
    this.operations.push(operation);
  }

  async read(path: string): Promise<Buffer | null> {
    return this.names.get(path)?.data ?? null;
  }

  async open(path: string, create: boolean): Promise<JournalFile> {
    this.step(`open ${path}`);
    let node = this.names.get(path);
    if (create) {
      node = { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
      this.names.set(path, node);
    }
    if (!node) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
    const file = node;
    return {
      write: async (bytes, position) => {
        this.step(`write ${path}`);
        const grown = Buffer.alloc(Math.max(file.data.length, position + bytes.length));
        file.data.copy(grown);
        bytes.copy(grown, position);
        file.data = grown;
      },
      sync: async () => {
        this.step(`sync ${path}`);
        file.synced = file.data;
      },
      truncate: async (length) => {
        this.step(`truncate ${path}`);
        file.data = file.data.subarray(0, length);
      },
      close: async () => {},
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.step(`rename ${from} ${to}`);
    this.names.set(to, this.names.get(from)!);
    this.names.delete(from);
  }

  async link(from: string, to: string): Promise<void> {
    this.step(`link ${from} ${to}`);
    this.names.set(to, this.names.get(from)!);
  }

  async unlink(path: string): Promise<void> {
    this.step(`unlink ${path}`);
    this.names.delete(path);
  }

  async makeDirectory(): Promise<void> {}

  async syncDirectory(path: string): Promise<void> {
    this.step(`syncDirectory ${path}`);
    this.syncedNames = new Map(this.names);
  }
}
