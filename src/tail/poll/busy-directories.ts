/** How long a directory with many events stays unwatched, and whether it then is quiet enough for events again. */
import type { Clock } from "../../runtime.ts";
import type { FollowedFile } from "../files/file.ts";
import type { Registry } from "../files/registry.ts";
import { directoryOf } from "../fs/rotated-names.ts";

/** Milliseconds; looking at all files of a directory afterwards shall not cost more than 2 % of a core. */
const shortestRest = 250;
const restPerFile = 0.25;
/** Lines per millisecond in a directory that stays unwatched: as many events make it rest, if each line is written alone. */
const busyLines = 0.25;

export class BusyDirectories {
  readonly #registry: Registry;
  readonly #clock: Clock;
  /** Since when a directory rests, and the line numbers reached in it then, added up. */
  readonly #resting = new Map<string, { since: number; lines: number }>();

  constructor(registry: Registry, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  *filesIn(directory: string): Iterable<FollowedFile> {
    for (const file of this.#registry.byPath.values()) if (directoryOf(file.path) === directory) yield file;
  }

  /** The directory is left unwatched from now on: for how many milliseconds. */
  rest(directory: string): number {
    this.#resting.set(directory, { since: this.#clock.monotonic(), lines: this.#linesIn(directory) });
    return Math.max(shortestRest, this.#registry.byPath.size * restPerFile);
  }

  /** Was so much written since `rest` that it had better rest once more? */
  busy(directory: string): boolean {
    const began = this.#resting.get(directory);
    this.#resting.delete(directory);
    if (!began) return false;
    return this.#linesIn(directory) - began.lines > busyLines * (this.#clock.monotonic() - began.since);
  }

  #linesIn(directory: string): number {
    let lines = 0;
    for (const file of this.filesIn(directory)) lines += file.line;
    return lines;
  }
}
