/** File-system events as hints: one watch per directory, never needed, never trusted. */
import type { Clock } from "../../runtime.ts";
import type { Fs } from "../fs/fs.ts";
import { inside, joinPath, tryStat } from "../fs/rotated-names.ts";
import { inodeKey } from "../identity/identity.ts";

/** Directories watched at most. */
const maxWatches = 1024;
/**
 * With so many events within so many milliseconds a directory is not watched for a while: each event costs two wake-ups of
 * threads, whether the file is followed or not, and polling what grows all the time costs less.
 */
const busyEvents = 25;
const busyTime = 100;

export interface WatchListener {
  /** An event concerns this path; null when the system did not say which. `content`: the name leads where it led. */
  hint(path: string | null, content: boolean): void;
  /** A busy directory is left alone from now on: for how many milliseconds. */
  rest(directory: string): number;
  /** That time is over: did so much happen that it is better left alone once more? */
  busy(directory: string): boolean;
  /** What happened in the directory since `rest` is not known. */
  rested(directory: string): void;
}

export class DirectoryWatch {
  readonly #fs: Fs;
  readonly #clock: Clock;
  readonly #enabled: boolean;
  readonly #listener: WatchListener;
  /** What ends the watch; null where there can be none. */
  readonly #watches = new Map<string, (() => void) | null>();
  readonly #resting = new Set<string>();
  /** Which directory a path led to when its watch began: it may be replaced, or reached through a link that changes. */
  readonly #inodes = new Map<string, string | null>();

  constructor(fs: Fs, clock: Clock, enabled: boolean, listener: WatchListener) {
    this.#fs = fs;
    this.#clock = clock;
    this.#enabled = enabled;
    this.#listener = listener;
  }

  /** Watches exactly these directories from now on. */
  set(directories: ReadonlySet<string>): void {
    if (!this.#enabled) return;
    for (const [directory, stop] of this.#watches) {
      if (directories.has(directory) && this.#inodeOf(directory) === this.#inodes.get(directory)) continue;
      stop?.();
      this.#watches.delete(directory);
      this.#resting.delete(directory);
      this.#inodes.delete(directory);
    }
    for (const directory of directories) {
      if (this.#watches.size >= maxWatches) break;
      if (this.#watches.get(directory)) continue;
      if (this.#fs.traits(inside(directory)).network) continue;
      this.#watch(directory);
    }
  }

  /** Are changes in this directory told by events? */
  covers(directory: string): boolean {
    return this.#watches.get(directory) != null && !this.#resting.has(directory);
  }

  close(): void {
    for (const stop of this.#watches.values()) stop?.();
    this.#watches.clear();
    this.#resting.clear();
    this.#inodes.clear();
  }

  /** Null: it is not there, or cannot be looked at now. */
  #inodeOf(directory: string): string | null {
    if (this.#fs.traits(inside(directory)).network) return null;
    const stat = tryStat(this.#fs, inside(directory));
    return stat ? inodeKey(stat) : null;
  }

  #watch(directory: string): void {
    let events = 0;
    let since = Number.NEGATIVE_INFINITY;
    this.#inodes.set(directory, this.#inodeOf(directory));
    const stop = this.#fs.watch(directory, (name, content = false) => {
      // Of events that are on their way when a watch ends some still come.
      if (this.#watches.get(directory) !== stop) return;
      const now = this.#clock.monotonic();
      if (now - since > busyTime) {
        since = now;
        events = 0;
      }
      if (++events >= busyEvents) this.#rest(directory);
      this.#listener.hint(name === null ? null : joinPath(directory, name), content);
    });
    this.#watches.set(directory, stop);
  }

  #rest(directory: string): void {
    this.#watches.get(directory)?.();
    this.#resting.add(directory);
    this.#leave(directory);
  }

  #leave(directory: string): void {
    const cancel = this.#clock.after(this.#listener.rest(directory), () => {
      if (this.#listener.busy(directory)) this.#leave(directory);
      else {
        this.#resting.delete(directory);
        this.#watch(directory);
      }
      this.#listener.rested(directory);
    });
    this.#watches.set(directory, cancel);
  }
}
