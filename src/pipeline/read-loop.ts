import type { Lines } from "../lines.ts";
import type { Clock } from "../runtime.ts";
import type { Positions } from "./checkpoint/positions.ts";
import type { Delivery } from "./delivery/delivery.ts";
import type { Input } from "./inputs/input.ts";
import type { Wake } from "./wakeup.ts";

export interface FeedOptions {
  delivery: Delivery;
  positions: Positions;
  clock: Clock;
  wake: Wake;
  /**
   * Milliseconds from one chunk to the next unless more is known to be there: a writer of many small writes would else
   * cause a wake-up and a request for each, which cost more than the lines. A line after a pause is not delayed.
   */
  linger: number;
  /** The inputs to read from; asked for in every round. */
  inputs: () => readonly Input[];
  /** Inputs that are only looked after. */
  ending: () => Iterable<Input>;
  /** An input's own code threw. */
  onCrash: (input: Input, error: unknown) => void;
  /** A chunk of so many bytes of a file is handed on. */
  onAppend: (input: Input, lines: Lines, bytes: number) => void;
}

/** Bytes of an input after which the next one has its turn. */
const quantum = 256 * 1024;

/**
 * From files to the sink: a chunk of each input in turn, as long as the sink has room, then sleep until one of them has
 * more. One round, one wake-up; the cost per line is the sink's.
 */
export class Feed {
  private readonly options: FeedOptions;
  private stopping = false;
  /** The last round ended for want of room. */
  private full = false;
  /** Monotonic milliseconds of the last chunk. */
  private lastData = Number.NEGATIVE_INFINITY;

  constructor(options: FeedOptions) {
    this.options = options;
    options.delivery.onRoom(options.wake.ring);
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    const { wake, clock, linger } = this.options;
    while (!this.stopping) {
      const wait = this.round();
      // A full turn of the event loop, so that acknowledgements are read while a backlog is sent.
      if (wait <= 0) await new Promise((resolve) => setImmediate(resolve));
      else {
        const early = this.full || this.stopping ? 0 : this.lastData + linger - clock.monotonic();
        await wake.sleep(wait, early);
      }
    }
  }

  stop(): void {
    this.stopping = true;
    this.options.wake.ring();
  }

  /** Milliseconds until the next one. */
  private round(): number {
    let wait = Number.POSITIVE_INFINITY;
    this.full = false;
    for (const input of this.options.inputs()) {
      if (this.stopping) return 0;
      try {
        wait = Math.min(wait, input.ready ? this.turn(input) : tend(input));
      } catch (error) {
        if (error instanceof AppendError) throw error.cause;
        this.options.onCrash(input, error);
      }
    }
    for (const input of this.options.ending()) {
      try {
        wait = Math.min(wait, tend(input));
      } catch (error) {
        this.options.onCrash(input, error);
      }
    }
    return wait;
  }

  private turn(input: Input): number {
    const { delivery, positions, clock, onAppend } = this.options;
    const { topic } = input.config;
    for (let taken = 0; ; ) {
      // Without room only `onRoom` brings the next lines; renames and deletions are noticed all the same.
      if (!delivery.hasRoom(topic)) {
        this.full = true;
        return tend(input);
      }
      const lines = input.next();
      if (lines === null) return input.tailer.wait();
      const bytes = lines.to - lines.base;
      onAppend(input, lines, bytes);
      try {
        positions.handOut(lines, input);
        if (lines.count > 0) {
          delivery.sink.append(lines, input.route(lines.file));
          delivery.appended(topic, bytes);
        }
      } catch (error) {
        throw new AppendError(error);
      }
      this.lastData = clock.monotonic();
      taken += bytes;
      if (taken >= quantum) return 0;
      // Mostly the end of the file is all that is left to find: not worth another turn of the event loop.
      const wait = input.tailer.wait();
      if (wait > 0) return wait;
    }
  }
}

/** Whether lines can be sent or not, renames and deletions are noticed while they happen. Milliseconds until the next look. */
function tend(input: Input): number {
  return input.tailer.tend?.() ?? Number.POSITIVE_INFINITY;
}

/** Not the input's fault: what was half appended cannot be taken back, the agent must stop. */
class AppendError extends Error {
  constructor(cause: unknown) {
    super("appending failed", { cause });
  }
}
