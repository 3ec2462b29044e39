import type { Clock } from "../runtime.ts";
import type { Log } from "./log.ts";

export interface MemoryOptions {
  clock: Pick<Clock, "monotonic" | "after">;
  log: Pick<Log, "debug">;
  /** Bytes of resident memory above which garbage is collected. */
  limit: number;
  /** Resident bytes now; null where that cannot be told. */
  resident?: () => number | null;
  /** Collects all garbage at once. Default: the runtime's `gc`; null where it was started without `--expose-gc`. */
  collect?: (() => void) | null;
}

/** Milliseconds from one look to the next, and when there is more than there should be. A look takes some microseconds. */
const every = 1_000;
const closely = 250;
/** Milliseconds from one collection, which takes some 20, to the next. */
const often = 1_000;
/** So many bytes more than the least since the last collection are taken for garbage. */
const step = 5e6;
/** Milliseconds after which another collection is tried without that. */
const seldom = 60_000;

/**
 * Keeps resident memory near what is in use: the runtime's collector goes by its own heap and comes late to the buffers
 * that hang on it (a day of small batches may hold 20 MB more than is used). Returns the function that ends it.
 */
export function keepMemory(options: MemoryOptions): () => void {
  const { clock, log, limit, resident = residentNow, collect = runtimeGc() } = options;
  if (collect === null) return () => {};
  let least = 0;
  let collectedAt = Number.NEGATIVE_INFINITY;
  const look = () => {
    const now = clock.monotonic();
    const bytes = resident() ?? least;
    cancel = clock.after(bytes > limit ? closely : every, look);
    least = Math.min(least, bytes);
    if (bytes <= limit || now < collectedAt + (bytes > least + step ? often : seldom)) return;
    collect();
    log.debug("garbage was collected", { resident: bytes, limit });
    // What was freed is given back to the system within the next looks.
    least = Number.POSITIVE_INFINITY;
    collectedAt = now;
  };
  let cancel = clock.after(every, look);
  collect(); // what the start left behind: the next collection comes the sooner, the less there is after one
  return () => cancel();
}

/** Null where the system does not say: it takes a descriptor, and there may be none. */
function residentNow(): number | null {
  try {
    return process.memoryUsage.rss();
  } catch {
    return null;
  }
}

const runtimeGc = () => (globalThis as { gc?: () => void }).gc ?? null;
