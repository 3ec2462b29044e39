/** Decompresses in steps: what is bounded is what one step produces, not what may be read. */
import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { type Binding, bindingOf, type WriteState } from "../../zlib-binding.ts";
import { type ReadInput, ZstdEnds } from "./zstd-ends.ts";

/** Of xz and bzip2 nothing is decoded: they are known, so that none of their bytes are sent as lines. */
export type Codec = "gzip" | "zstd" | "xz" | "bzip2";

/** Nothing that such a file holds can be compared or sent. */
export function isForeign(codec: Codec | null): codec is "xz" | "bzip2" {
  return codec === "xz" || codec === "bzip2";
}

/** Compressed bytes that were not decoded, from `offset` on; `message` is the decompressor's. */
export interface Fault {
  message: string;
  offset: number;
}

/** Bytes, also the most that one step produces. */
const stepBytes = 65_536;
/** Bytes of zeros behind the last member of gzip that are taken for padding (of a tape, RFC 1952 does not forbid it). */
const paddingBytes = 1 << 20;
/** Window, as a power of two, of the frames of zstd that are read: a decompressor takes as much memory. */
const windowLog = 25;

const nothing = Buffer.alloc(0);

export class Decoder {
  /** What is behind the content that was given is damaged, or none of it. */
  fault: Fault | null = null;
  readonly #codec: Codec;
  readonly #readInput: ReadInput;
  readonly #out = Buffer.allocUnsafeSlow(stepBytes);
  #stream: { destroy(): void } | null = null;
  #binding!: Binding;
  #state!: WriteState;
  #error: string | null = null;
  #ends!: ZstdEnds;
  #input: Uint8Array = nothing;
  /** Offset of `input` in the file, and of the next byte to decode. */
  #inputAt = 0;
  #at = 0;
  /** The output was full: more may come of what was taken. */
  #more = false;
  /** Bytes of content that were given; `skip`: as many are not given again. */
  #given = 0;
  #skip = 0;
  /** From here on bytes are decoded one by one: an error gives no word on how far it got. */
  #careful = Number.POSITIVE_INFINITY;
  #over = false;

  constructor(codec: Codec, readInput: ReadInput) {
    this.#codec = codec;
    this.#readInput = readInput;
    if (isForeign(codec)) this.fault = { message: `${codec} is not decompressed`, offset: 0 };
    else this.#begin();
  }

  /** The next bytes, valid until the next call, perhaps none yet; null: the end, for now or for good, or a fault. */
  step(): Buffer | null {
    if (this.fault !== null || this.#over) return null;
    const input = this.#next();
    if (input.length === 0 && !this.#more) return null;
    const out = this.#out;
    this.#binding.writeSync(constants.Z_NO_FLUSH, input, 0, input.length, out, 0, out.length);
    if (this.#error !== null) {
      this.#failed(this.#error);
      return nothing;
    }
    const [free, left] = this.#state as unknown as [number, number];
    const made = out.length - free;
    this.#at += input.length - left;
    this.#more = free === 0;
    if (made === 0 && left === input.length) {
      // A member of gzip ended, and what follows begins with a zero.
      if (input.length > 0) this.#pad();
      return nothing;
    }
    const skipped = Math.min(made, this.#skip);
    this.#skip -= skipped;
    this.#given += made - skipped;
    return out.subarray(skipped, made);
  }

  /** Asked at the end: does the input stop in the middle of what it holds? It may still be written. */
  get isCut(): boolean {
    if (this.fault !== null || this.#over || this.#at === 0) return this.#at === 0;
    if (this.#codec === "zstd") return !this.#ends.isEnd(this.#at);
    this.#binding.writeSync(constants.Z_FINISH, nothing, 0, 0, this.#out, 0, this.#out.length);
    const cut = this.#error !== null;
    this.#error = null;
    return cut;
  }

  /** Compressed bytes that were decoded. */
  get taken(): number {
    return this.#at;
  }

  close(): void {
    this.#stream?.destroy();
  }

  #begin(): void {
    const stream =
      this.#codec === "gzip"
        ? createGunzip()
        : createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: windowLog } });
    const { binding, state } = bindingOf(stream, this.#codec);
    binding.onerror = (message) => {
      this.#error = message;
    };
    this.#stream = stream;
    this.#binding = binding;
    this.#state = state;
    this.#ends = new ZstdEnds(this.#readInput);
    this.#at = 0;
    this.#more = false;
    this.#error = null;
  }

  #next(): Uint8Array {
    let from = this.#at - this.#inputAt;
    if (from < 0 || from >= this.#input.length) {
      this.#input = this.#readInput(this.#at, stepBytes);
      this.#inputAt = this.#at;
      from = 0;
    }
    const most = this.#at < this.#careful ? this.#careful - this.#at : 1;
    return this.#input.subarray(from, Math.min(this.#input.length, from + most));
  }

  /** Decodes all once more, to give what lies before the fault; the second time the fault's place is known. */
  #failed(message: string): void {
    const at = this.#at;
    if (this.#careful === Number.POSITIVE_INFINITY) {
      this.#careful = at;
      this.#skip = this.#given;
      this.close();
      this.#begin();
    } else {
      // A header of gzip is judged by its second byte.
      const offset = message === "incorrect header check" ? Math.max(0, at - 1) : at;
      this.fault = { message, offset };
    }
  }

  #pad(): void {
    this.#over = true;
    const rest = this.#readInput(this.#at, paddingBytes);
    const length = rest.findIndex((byte) => byte !== 0);
    if (length >= 0) this.fault = { message: "what follows is no member of gzip", offset: this.#at + length };
  }
}
