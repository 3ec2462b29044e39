/**
 * Compressors and decompressors of `node:zlib` that are used again for one batch after the other and work into memory of
 * ours: the one-shot functions set up a stream, collect chunks and join them for each call, and leave all that to the
 * garbage collector.
 */
import { type Binding, bindingOf, type WriteState } from "../../zlib-binding.ts";
import type { Allocate } from "./allocate.ts";

export interface CoderKind {
  /** Tells it from others; of the level too. */
  name: string;
  /** Opens a stream of `node:zlib`. */
  open: () => unknown;
  /** The flush value that all input is given with. */
  flush: number;
  /** True: the binding must be told that new input begins. One of zstd knows, and would forget its level. */
  resets: boolean;
}

/** Bytes; what a compressor is given for `bytes`: more than the bounds of zlib and zstd for data that does not shrink. */
export const compressedBound = (bytes: number): number => bytes + (bytes >> 7) + 1024;

export class Coder {
  /** Kept: what becomes of a binding whose stream is collected is not said. */
  readonly stream: unknown;
  private readonly binding: Binding;
  private readonly state: WriteState;
  private readonly kind: CoderKind;
  private fault: string | null = null;

  constructor(stream: unknown, binding: Binding, state: WriteState, kind: CoderKind) {
    this.stream = stream;
    this.binding = binding;
    this.state = state;
    this.kind = kind;
    binding.onerror = (message) => {
      this.fault = message;
    };
  }

  /**
   * All that `data` becomes, in what `allocate` gives for `hint` bytes, or for more where those do not suffice (a
   * compressor of zstd must be given enough: it would begin another frame). Throws what the binding complains of, after
   * which the coder is of no use any more, and for a result above `limit` bytes.
   */
  run(data: Uint8Array, hint: number, limit: number, allocate: Allocate): Buffer {
    const { binding, state, kind } = this;
    if (kind.resets) binding.reset();
    let out = allocate(hint);
    let length = 0;
    let at = 0;
    for (;;) {
      binding.writeSync(kind.flush, data, at, data.length - at, out, length, out.length - length);
      if (this.fault !== null) throw new Error(this.fault);
      const [free, left] = state as unknown as [number, number];
      const isStuck = data.length - left === at && out.length - free === length;
      at = data.length - left;
      length = out.length - free;
      if (length > limit) throw new Error(`the result is longer than ${limit} bytes`);
      if (free > 0 && (left === 0 || isStuck)) return out.subarray(0, length);
      if (free === 0) out = enlarged(out, limit + 1, allocate);
    }
  }
}

/** Twice as much, at most `most` bytes; `allocate` may give the same memory again. */
function enlarged(out: Buffer, most: number, allocate: Allocate): Buffer {
  const larger = allocate(Math.min(out.length * 2, most));
  out.copy(larger);
  return larger;
}

export function makeCoder(kind: CoderKind): Coder {
  const stream = kind.open();
  const { binding, state } = bindingOf(stream, kind.name);
  return new Coder(stream, binding, state, kind);
}
