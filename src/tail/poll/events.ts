/** What file-system events bring forward: looks at files and walks of the patterns. */

import { directoryOf } from "../fs/rotated-names.ts";
import type { Context } from "../rotation/context.ts";
import { BusyDirectories } from "./busy-directories.ts";
import type { Poller } from "./poller.ts";
import { DirectoryWatch } from "./watch.ts";

export class Hints {
  readonly watch: DirectoryWatch;
  readonly #context: Context;
  readonly #poller: Poller;
  readonly #busy: BusyDirectories;
  readonly #wake: () => void;

  /** `walk` asks for a walk within a second; `wake`: something is to be done before `wait` runs out. */
  constructor(context: Context, poller: Poller, walk: () => void, wake: () => void) {
    const { fs, clock, options, registry } = context;
    this.#context = context;
    this.#poller = poller;
    this.#wake = wake;
    this.#busy = new BusyDirectories(registry, clock);
    this.watch = new DirectoryWatch(fs, clock, options.watch && !options.once, {
      hint: (path, content) => this.#hint(path, content),
      rest: (directory) => this.#busy.rest(directory),
      busy: (directory) => this.#busy.busy(directory),
      rested: (directory) => {
        for (const file of this.#busy.filesIn(directory)) this.#poller.hint(file);
        walk();
        this.#wake();
      },
    });
  }

  /** Events tell of changes beside this path. */
  watched(path: string): boolean {
    const { options, fs } = this.#context;
    return options.watch && fs.traits(path).stable && this.watch.covers(directoryOf(path));
  }

  #hint(path: string | null, content: boolean): void {
    const { registry, discovery } = this.#context;
    const file = path === null ? undefined : registry.byPath.get(path);
    if (file) this.#poller.hint(file, !content);
    else if (path === null || discovery.concerns(path)) this.#context.discoverSoon();
    else return;
    this.#wake();
  }
}
