/** Files of the journal that lie on a server which has not answered since the start: nothing there is taken for new. */
import type { Context } from "./context.ts";
import type { FollowedFile } from "./file.ts";
import type { Fs } from "./fs.ts";
import { directoryOf, joinPath } from "./siblings.ts";

/** Milliseconds after which it is said that a server does not answer. */
const patience = 5000;

export class AwaitedMounts {
  readonly #fs: Fs;
  readonly #mounts = new Set<string>();

  constructor(fs: Fs) {
    this.#fs = fs;
  }

  /** Is the server of this path still to be heard of? */
  has(path: string): boolean {
    if (this.#mounts.size === 0) return false;
    const mount = this.#mountOf(path);
    return mount !== null && this.#mounts.has(mount);
  }

  /**
   * Hands the files on, those of each mount together: what is local at once, the others as soon as their server answers,
   * be it with an error. The promises never reject.
   */
  resume(context: Context, files: readonly FollowedFile[], f: (files: FollowedFile[]) => void): Promise<void>[] {
    const groups = Map.groupBy(files, ({ path }) => this.#mountOf(path));
    f(groups.get(null) ?? []);
    groups.delete(null);
    return [...groups].map(([mount, group]) => this.#await(context, mount as string, group, f));
  }

  async #await(
    context: Context,
    mount: string,
    group: FollowedFile[],
    f: (files: FollowedFile[]) => void,
  ): Promise<void> {
    this.#mounts.add(mount);
    const directory = directoryOf(group[0]!.path);
    const cancel = context.clock.after(patience, () =>
      context.event("warn", "file-unreadable", `the server of ${directory} does not answer: its files wait`, {
        path: directory,
      }),
    );
    // An answer that is an error is one all the same.
    await this.#fs.statLater(joinPath(directory, "")).catch(() => {});
    cancel();
    this.#mounts.delete(mount);
    f(group);
  }

  #mountOf(path: string): string | null {
    const { network, mount = "" } = this.#fs.traits(path);
    return network ? mount : null;
  }
}
