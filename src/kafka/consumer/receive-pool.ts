/**
 * Buffers for large responses, filled again and again: fresh memory for each would cost more than the copy into it, and
 * would stay behind until the garbage collector comes by.
 */

/** Sizes are rounded up to this, so that responses of nearly the same size share buffers; bytes. */
const step = 256 << 10;

export class ReceivePool {
  private readonly idle: Buffer[] = [];
  private readonly most: number;

  /** `most` buffers are kept while nobody uses them. */
  constructor(most = 3) {
    this.most = most;
  }

  /** A buffer of at least `bytes`, its content undefined. */
  take(bytes: number): Buffer {
    const at = this.idle.findIndex(({ length }) => length >= bytes);
    if (at >= 0) return this.idle.splice(at, 1)[0] as Buffer;
    // One that is too small now would be so again.
    this.idle.pop();
    return Buffer.allocUnsafeSlow(Math.ceil(bytes / step) * step);
  }

  /** Lets go of what nobody uses. */
  clear(): void {
    this.idle.length = 0;
  }

  /** Nobody reads or writes the buffer any more. */
  give(buffer: Buffer): void {
    if (this.idle.length < this.most) this.idle.push(buffer);
  }
}
