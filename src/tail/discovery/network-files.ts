/** Files a walk found on servers that may be away. */

import { reach } from "../files/network-source.ts";
import type { Fs } from "../fs/fs.ts";
import { type Found, isLog } from "./found.ts";

export type Trouble = (path: string, error: unknown) => void;

/** Files of one walk that are asked for at once, so that one that hangs holds up no other. */
export class RemoteFiles {
  readonly asked: Promise<void>[] = [];
  found: (found: Found) => void;
  readonly #fs: Fs;
  readonly #reaching: Set<string>;
  readonly #trouble: Trouble;

  constructor(fs: Fs, reaching: Set<string>, trouble: Trouble, found: (found: Found) => void) {
    this.#fs = fs;
    this.#reaching = reaching;
    this.#trouble = trouble;
    this.found = found;
  }

  ask(path: string, named: boolean): void {
    if (this.#reaching.has(path)) return;
    this.#reaching.add(path);
    this.asked.push(this.#reach(path, named));
  }

  async #reach(path: string, named: boolean): Promise<void> {
    try {
      const stat = await reach(this.#fs, path);
      if (stat !== null && isLog(stat, named)) this.found({ path, stat, named });
    } catch (error) {
      this.#trouble(path, error);
    } finally {
      this.#reaching.delete(path);
    }
  }
}
