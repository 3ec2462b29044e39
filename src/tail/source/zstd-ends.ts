/** Where frames of zstd end (RFC 8878, section 3): a decompressor does not complain of one that is cut off. */

/** Bytes of the compressed file; fewer at its end. */
export type ReadInput = (position: number, length: number) => Uint8Array;

/** Magic number, header and nothing of the first block, at most. */
const headerBytes = 18;

export class ZstdEnds {
  readonly #read: ReadInput;
  /** Offset of the next frame (`inFrame` false) or of the next block. */
  #next = 0;
  #inFrame = false;
  #checksum = 0;

  constructor(read: ReadInput) {
    this.#read = read;
  }

  /** Does a frame end at `offset`? Offsets only grow. Reads the headers of frames and blocks, no more. */
  isEnd(offset: number): boolean {
    while (this.#next < offset) {
      const head = this.#read(this.#next, headerBytes);
      if (!(this.#inFrame ? this.#passBlock(head) : this.#passHeader(head))) return false;
    }
    return this.#next === offset && !this.#inFrame;
  }

  #passBlock(head: Uint8Array): boolean {
    if (head.length < 3) return false;
    const header = head[0]! | (head[1]! << 8) | (head[2]! << 16);
    const isRepeatedByte = ((header >> 1) & 3) === 1;
    this.#next += 3 + (isRepeatedByte ? 1 : header >> 3);
    if ((header & 1) !== 0) {
      this.#next += this.#checksum;
      this.#inFrame = false;
    }
    return true;
  }

  #passHeader(head: Uint8Array): boolean {
    if (head.length < 8) return false;
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const isSkippable = view.getUint32(0, true) >>> 4 === 0x184d2a5;
    if (isSkippable) {
      this.#next += 8 + view.getUint32(4, true);
      return true;
    }
    const descriptor = head[4]!;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const contentSizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
    this.#next += 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + contentSizeBytes;
    this.#checksum = (descriptor & 4) !== 0 ? 4 : 0;
    this.#inFrame = true;
    return true;
  }
}
