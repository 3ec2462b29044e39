import type { Clock } from "../runtime.ts";
import type { Log } from "./log.ts";

export interface MemoryOptions {
  clock: Pick<Clock, "monotonic" | "after">;
  log: Pick<Log, "debug">;
  /** Bytes of resident memory above which garbage is collected. */
  limit: number;
  /** Resident bytes now. */
  resident?: () => number;
  /** Collects all garbage at once. Default: the runtime's `gc`; null where it was started without `--expose-gc`. */
  collect?: (() => void) | null;
}

/** Milliseconds from one look to the next; a look takes some microseconds. */
const every = 1_000;
/** Milliseconds after a collection, which takes some 20, until the next may be: doubled for each that did not help. */
const first = 1_000;
const last = 60_000;

/**
 * Keeps resident memory near what is in use: the runtime's collector goes by its own heap and comes late to the buffers
 * that hang on it (a day of small batches may hold 20 MB more than is used). Returns the function that ends it.
 */
export function keepMemory(options: MemoryOptions): () => void {
  const { clock, log, limit, resident = residentNow, collect = runtimeGc() } = options;
  if (collect === null) return () => {};
  let pause = first;
  let notBefore = 0;
  const look = () => {
    cancel = clock.after(every, look);
    const bytes = resident();
    if (bytes <= limit) {
      pause = first;
    } else if (clock.monotonic() >= notBefore) {
      collect();
      log.debug("garbage was collected", { resident: bytes, limit });
      notBefore = clock.monotonic() + pause;
      pause = Math.min(pause * 2, last);
    }
  };
  let cancel = clock.after(every, look);
  return () => cancel();
}

const residentNow = () => process.memoryUsage.rss();
const runtimeGc = () => (globalThis as { gc?: () => void }).gc ?? null;
