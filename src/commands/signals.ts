import { constants } from "node:os";

/** SIGPIPE: the reader of stdout has left (`| head -1`), told by main instead of a signal. */
export type EndSignal = "SIGINT" | "SIGTERM" | "SIGPIPE";

export interface UntilSignal {
  /** Aborted by the first signal. */
  signal: AbortSignal;
  release: () => void;
  /** The first signal that came; null while none has. */
  readonly received: EndSignal | null;
}

/**
 * The first SIGINT or SIGTERM ends the work cleanly; a second one ends the process at once, as if nobody listened, or calls
 * `onSecond`. `ignorePipe`: a reader that leaves is no reason to stop.
 */
export function untilSignal({ onSecond, ignorePipe }: { onSecond?: () => void; ignorePipe?: true } = {}): UntilSignal {
  const controller = new AbortController();
  let received: EndSignal | null = null;
  const stop = (name: EndSignal) => {
    if (name === "SIGPIPE" && ignorePipe) return;
    if (received !== null) {
      onSecond?.();
      return;
    }
    received = name;
    if (onSecond === undefined) release();
    controller.abort();
  };
  const release = () => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: controller.signal,
    release,
    get received() {
      return received;
    },
  };
}

/** 128 and the signal's number: what a shell reports of a process that a signal ended. */
export function signalExitCode(signal: EndSignal): number {
  return 128 + constants.signals[signal];
}
