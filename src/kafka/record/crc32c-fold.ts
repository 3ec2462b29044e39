/**
 * Makes a long message short without changing its CRC-32C, in WebAssembly: Russell, "Chorba: A novel CRC32
 * implementation" (https://arxiv.org/abs/2412.16398) with a multiple of Castagnoli's polynomial.
 *
 * x^209 + x^144 + x^54 + x^39 + x^14 + 1 is divisible by that polynomial (no multiple of so few terms has a smaller degree),
 * and so is the same with every exponent times 128. Hence a block of 128 bits may be taken out when it is added (xor) to
 * the blocks 65, 155, 170, 195 and 209 further on. Seen from a block that stays: it takes in those that far before it.
 */

/** How many blocks before a block those lie that are added to it. */
const distances = [209, 195, 170, 155, 65];
const blockBytes = 16;
/** So much of a message is left, and a remainder below one block. */
const window = 209 * blockBytes;
/** Blocks that are folded in one go: they and the window fit the processor's nearest cache. */
const chunkBytes = 2048 * blockBytes;

/** Bytes of a message below which tables do: folding is as fast from 8 KiB on, but its code takes 3 MB of memory. */
export const worthFolding = 32 << 10;

/** Folds the bytes `[from, to)` of what was put into `memory` behind a window of earlier blocks. */
type FoldBlocks = (from: number, to: number) => void;

export class Crc32cFold {
  /** Where in `memory` what is left of a message begins. */
  static readonly start = window;
  readonly memory: Buffer;
  private readonly view: DataView;
  /** Index: how many of the nearest distances are left out. */
  private readonly fold: readonly FoldBlocks[];

  /** Throws where the runtime has no WebAssembly with SIMD. */
  constructor() {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()));
    const { memory, ...folds } = instance.exports as Record<string, unknown> & { memory: WebAssembly.Memory };
    this.memory = Buffer.from(memory.buffer);
    this.view = new DataView(memory.buffer);
    this.fold = distances.map((_, skipped) => folds[`skip${skipped}`] as FoldBlocks);
  }

  /**
   * Leaves in `memory[start, end)` a message with the CRC of `data[from, to)`, to be computed with the register at 0;
   * returns `end`. `register` is the inverted CRC of what went before; `to - from` is at least `worthFolding`.
   */
  shorten(data: Buffer, from: number, to: number, register: number): number {
    const { memory, view, fold } = this;
    memory.fill(0, 0, window);
    const kept = window + ((to - from) % blockBytes);
    let at = from;
    while (at < to - kept) {
      const bytes = Math.min(chunkBytes, to - kept - at);
      data.copy(memory, window, at, at + bytes); // no view, no garbage
      if (at === from) view.setInt32(window, view.getInt32(window, true) ^ register, true);
      fold[0]?.(0, bytes);
      memory.copyWithin(0, bytes, bytes + window);
      at += bytes;
    }
    data.copy(memory, window, at, to);
    // Blocks that stay are added to nothing: the further in, the fewer that were taken out lie at a distance.
    let done = 0;
    for (const [skipped, distance] of distances.toReversed().entries()) {
      fold[skipped]?.(done, distance * blockBytes);
      done = distance * blockBytes;
    }
    return window + kept;
  }
}

/** Opcodes: https://webassembly.github.io/spec/core/binary/instructions.html */
const op = {
  emptyType: 0x40,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  branch: 0x0c,
  localGet: 0x20,
  localSet: 0x21,
  i32Const: 0x41,
  i32LessUnsigned: 0x49,
  i32Add: 0x6a,
  simd: 0xfd,
  v128Load: 0,
  v128Store: 11,
  v128Xor: 81,
  i32: 0x7f,
  function: 0x60,
};

/** A module with a memory of one page and the functions skip0 … skip4. */
function moduleBytes(): Uint8Array<ArrayBuffer> {
  const names = distances.map((_, skipped) => `skip${skipped}`);
  const bodies = distances.map((_, skipped) => foldBody(distances.slice(0, distances.length - skipped)));
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[op.function, ...vector([[op.i32], [op.i32]]), ...vector([])]]),
    ...section(
      3,
      names.map(() => [0]),
    ), // every function is of type 0
    ...section(5, [[1, 1, 1]]),
    ...section(7, [[...name("memory"), 2, 0], ...names.map((each, index) => [...name(each), 0, index])]),
    ...section(
      10,
      bodies.map((body) => [...unsigned(body.length), ...body]),
    ),
  ]);
}

/** while (from < to) { block(from) ^= block(from − distance) for every distance; from += 16 }, behind the window. */
function foldBody(terms: readonly number[]): number[] {
  const [from, to] = [0, 1];
  const address = (distance: number) => [4, ...unsigned(window - distance * blockBytes)]; // aligned to 2^4
  const load = (distance: number) => [op.localGet, from, op.simd, op.v128Load, ...address(distance)];
  return [
    0, // no locals besides the parameters
    ...[op.loop, op.emptyType, op.localGet, from, op.localGet, to, op.i32LessUnsigned, op.if, op.emptyType],
    ...[op.localGet, from, ...load(0), ...terms.flatMap((term) => [...load(term), op.simd, op.v128Xor])],
    ...[op.simd, op.v128Store, ...address(0)],
    ...[op.localGet, from, op.i32Const, blockBytes, op.i32Add, op.localSet, from, op.branch, 1],
    ...[op.end, op.end, op.end],
  ];
}

function section(id: number, entries: readonly number[][]): number[] {
  const body = vector(entries);
  return [id, ...unsigned(body.length), ...body];
}

const vector = (entries: readonly number[][]): number[] => [...unsigned(entries.length), ...entries.flat()];

const name = (text: string): number[] => vector([...Buffer.from(text)].map((byte) => [byte]));

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
