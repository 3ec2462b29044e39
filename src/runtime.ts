/**
 * What the agent takes from the outside besides Kafka: time and chance. Injected, so that simulations are deterministic.
 * The file system's seam is `tail/fs/fs.ts`.
 */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  /** Monotonic milliseconds, for intervals and deadlines. */
  monotonic(): number;
  /** Calls `f` once after `ms`; the returned function cancels it. */
  after(ms: number, f: () => void): () => void;
}

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, f) {
    const timer = setTimeout(f, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits for the promise, at most `ms` of `clock`; true if it was fulfilled by then. Rejects as it does. */
export async function within(clock: Clock, ms: number, promise: Promise<unknown>): Promise<boolean> {
  let cancel = () => {};
  const late = new Promise<boolean>((resolve) => {
    cancel = clock.after(ms, () => resolve(false));
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    cancel();
  }
}

/** Resolves after `ms` of `clock`; `signal` ends the wait early without an error. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener("abort", end, { once: true });
  });
}

const stops: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
const held: NodeJS.Signals[] = [];

function hold(signal: NodeJS.Signals): void {
  // Nobody has answered the first one yet: a second one quits at once, as it does later.
  if (!stops.includes(signal) || !held.some((other) => stops.includes(other))) held.push(signal);
  else {
    heldSignals();
    process.kill(process.pid, signal);
  }
}

/** Keeps SIGTERM, SIGINT and SIGHUP from ending a process that starts, until `heldSignals` is called. */
export function holdSignals(): void {
  for (const signal of [...stops, "SIGHUP"] as const) process.on(signal, hold);
}

/** What came since `holdSignals`; from now on only the caller's own handlers hear of signals. */
export function heldSignals(): NodeJS.Signals[] {
  for (const signal of [...stops, "SIGHUP"] as const) process.off(signal, hold);
  return held.splice(0);
}
