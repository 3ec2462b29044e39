import type { FileState } from "../../state/types.ts";
import type { Tailer } from "../../tail/types.ts";

/** What changed since a checkpoint. */
export interface Delta {
  files: FileState[];
  removed: string[];
}

/** The newest known state of every file, and which of it no checkpoint holds yet. */
export class Ledger {
  private readonly files: Map<string, FileState>;
  private readonly unwritten = new Set<string>();

  constructor(files: ReadonlyMap<string, FileState>) {
    this.files = new Map(files);
  }

  /** Takes over what changed in a tailer. */
  harvest(tailer: Tailer): void {
    for (const id of tailer.changed()) {
      const state = tailer.snapshot(id);
      if (state !== null) this.put(state.key, state);
    }
    for (const key of tailer.forgotten()) this.put(key, null);
  }

  /** The states of one input's files. */
  of(input: string): FileState[] {
    return [...this.files.values()].filter((file) => file.input === input);
  }

  /** Everything not in a checkpoint yet, for the next one; null when there is nothing. */
  take(): Delta | null {
    if (this.unwritten.size === 0) return null;
    const delta: Delta = { files: [], removed: [] };
    for (const key of this.unwritten) {
      const state = this.files.get(key);
      if (state) delta.files.push(state);
      else delta.removed.push(key);
    }
    this.unwritten.clear();
    return delta;
  }

  /** The checkpoint with this delta was not written. */
  putBack(delta: Delta): void {
    for (const file of delta.files) this.unwritten.add(file.key);
    for (const key of delta.removed) this.unwritten.add(key);
  }

  private put(key: string, state: FileState | null): void {
    if (state) this.files.set(key, state);
    else if (!this.files.delete(key)) return;
    this.unwritten.add(key);
  }
}
