/** Directories that need not be listed again: a walk found nothing new there, and nothing has changed since. */
import type { Stat } from "../fs/fs.ts";
import { stableSlack } from "../fs/mounts.ts";

/** Milliseconds after which a directory is listed all the same: nothing but the time of its last change vouches for it. */
const longest = 60_000;

/** When a walk began and what was known then. */
export interface Moment {
  /** Wall clock, milliseconds since the epoch. */
  now: number;
  /** Counts what was known and is so no more: paths that are to be reported again. */
  unlearned: number;
}

interface Quiet extends Moment {
  stat: Pick<Stat, "dev" | "ino" | "mtime">;
}

export class QuietDirectories {
  #before = new Map<string, Quiet>();
  #after = new Map<string, Quiet>();

  /** A walk begins; of directories the last one did not come to nothing is kept. */
  begin(): void {
    this.#before = this.#after;
    this.#after = new Map();
  }

  /** True if there is nothing new in the directory that looks like this now. */
  has(key: string, stat: Stat, { now, unlearned }: Moment): boolean {
    const quiet = this.#before.get(key);
    if (!quiet || quiet.unlearned !== unlearned || now < quiet.now || now >= quiet.now + longest) return false;
    const { dev, ino, mtime } = quiet.stat;
    if (dev !== stat.dev || ino !== stat.ino || mtime !== stat.mtime) return false;
    this.#after.set(key, quiet);
    return true;
  }

  /** It was listed and nothing new was in it. `stat`: as it was before. */
  add(key: string, { dev, ino, mtime }: Stat, { now, unlearned }: Moment): void {
    // What changes within the slack may leave the time as it is.
    if (mtime < now - stableSlack) this.#after.set(key, { stat: { dev, ino, mtime }, now, unlearned });
  }
}
