/** Files of the journal that lie on a server which has not answered since the start: nothing there is taken for new. */
import { LogagentError } from "../../errors.ts";
import { within } from "../../runtime.ts";
import type { Fs } from "../fs/fs.ts";
import { directoryOf, inside } from "../fs/rotated-names.ts";
import type { Context } from "../rotation/context.ts";
import type { FollowedFile } from "./file.ts";
import { patience } from "./network-source.ts";

const silent = (directory: string) => `the server of ${directory} does not answer`;

export class AwaitedMounts {
  readonly #fs: Fs;
  /** With a directory of each. */
  readonly #mounts = new Map<string, string>();

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
   * be it with an error. The promises reject only with what `f` throws.
   */
  resume(context: Context, files: readonly FollowedFile[], f: (files: FollowedFile[]) => void): Promise<void>[] {
    const groups = Map.groupBy(files, ({ path }) => this.#mountOf(path));
    f(groups.get(null) ?? []);
    groups.delete(null);
    return [...groups].map(([mount, group]) => this.#await(context, mount as string, group, f));
  }

  /** For who cannot go on without some: waits for the `answers`. Throws LogagentError FILE_IO when one takes too long. */
  async need({ clock }: Context, answers: readonly Promise<void>[]): Promise<void> {
    if (await within(clock, patience, Promise.all(answers))) return;
    const [directory = ""] = this.#mounts.values();
    throw new LogagentError("FILE_IO", `reading what there is once: ${silent(directory)}`);
  }

  async #await(
    context: Context,
    mount: string,
    group: FollowedFile[],
    f: (files: FollowedFile[]) => void,
  ): Promise<void> {
    const directory = directoryOf(group[0]!.path);
    this.#mounts.set(mount, directory);
    const cancel = context.clock.after(patience, () =>
      context.event("warn", "file-unreadable", `${silent(directory)}: its files wait`, { path: directory }),
    );
    // An answer that is an error is one all the same.
    await this.#fs.statLater(inside(directory)).catch(() => {});
    cancel();
    this.#mounts.delete(mount);
    f(group);
  }

  #mountOf(path: string): string | null {
    const { network, mount = "" } = this.#fs.traits(path);
    return network ? mount : null;
  }
}
