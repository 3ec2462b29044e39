/** File-system events as hints: one watch per directory, never needed, never trusted. */
import type { Fs } from "./fs.ts";

/** Directories watched at most. */
const maxWatches = 1024;

export class DirectoryWatch {
  readonly #fs: Fs;
  readonly #enabled: boolean;
  readonly #hint: (path: string | null) => void;
  readonly #watches = new Map<string, (() => void) | null>();

  /** `hint` gets the path an event concerns, or null when the system did not say. */
  constructor(fs: Fs, enabled: boolean, hint: (path: string | null) => void) {
    this.#fs = fs;
    this.#enabled = enabled;
    this.#hint = hint;
  }

  /** Watches exactly these directories from now on. */
  set(directories: ReadonlySet<string>): void {
    if (!this.#enabled) return;
    for (const [directory, stop] of this.#watches) {
      if (directories.has(directory)) continue;
      stop?.();
      this.#watches.delete(directory);
    }
    for (const directory of directories) {
      if (this.#watches.size >= maxWatches) break;
      if (this.#watches.get(directory)) continue;
      if (this.#fs.traits(directory).network) continue;
      const stop = this.#fs.watch(directory, (name) => this.#hint(name === null ? null : join(directory, name)));
      this.#watches.set(directory, stop);
    }
  }

  /** Are changes in this directory told by events? */
  covers(directory: string): boolean {
    return this.#watches.get(directory) != null;
  }

  close(): void {
    for (const stop of this.#watches.values()) stop?.();
    this.#watches.clear();
  }
}

function join(directory: string, name: string): string {
  return directory === "." ? name : directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}
