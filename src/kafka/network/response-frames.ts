/**
 * Cuts what a socket receives into responses: an int32 with the size, then the response, which begins with its correlation
 * id (https://kafka.apache.org/protocol.html#protocol_common). A response that lies whole in one piece is handed on as a
 * view of it unless it is to be kept; all others are gathered in a buffer of their final size, so each byte is copied once
 * at most.
 */
import { limits } from "../protocol/limits.ts";

/** Also below what "HTTP" or a TLS alert would mean as a size. */
const largestResponse = limits.fetchBytes;
const sizeBytes = 4;
const idBytes = 4;

/** The bytes are no responses of Kafka's protocol; nothing that follows them can be trusted. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

export interface FrameReceiver {
  /** True: the response outlives `received`, so it may be no view of what was pushed. Throws FrameError as `allocate`. */
  keeps(correlationId: number): boolean;
  /** A buffer of at least `bytes`; throws FrameError for a correlation id nobody waits for. */
  allocate(correlationId: number, bytes: number): Buffer;
  /** `payload` is the response behind its correlation id. */
  received(correlationId: number, payload: Buffer): void;
}

export class ResponseFramer {
  private readonly receiver: FrameReceiver;
  /** Size and correlation id of a response that were cut apart. */
  private readonly head = Buffer.alloc(sizeBytes + idBytes);
  private headFilled = 0;
  /** The response being gathered. */
  private body: Buffer | null = null;
  private correlationId = 0;
  private size = 0;
  private filled = 0;
  private stopped = false;

  constructor(receiver: FrameReceiver) {
    this.receiver = receiver;
  }

  /** Takes the next bytes of the stream; they may be overwritten afterwards. Throws FrameError, and then accepts no more. */
  push(chunk: Buffer): void {
    let at = 0;
    try {
      while (at < chunk.length && !this.stopped)
        at = this.body ? this.gather(chunk, at, this.body) : this.begin(chunk, at);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** What still comes is ignored; the memory is let go. */
  stop(): void {
    this.stopped = true;
    this.body = null;
  }

  private gather(chunk: Buffer, from: number, body: Buffer): number {
    const to = Math.min(chunk.length, from + this.size - this.filled);
    chunk.copy(body, this.filled, from, to);
    this.filled += to - from;
    if (this.filled === this.size) {
      this.body = null;
      this.receiver.received(this.correlationId, body.subarray(0, this.size));
    }
    return to;
  }

  private begin(chunk: Buffer, from: number): number {
    if (this.headFilled === 0 && chunk.length - from >= this.head.length) {
      return this.headed(chunk, from, chunk, from + this.head.length);
    }
    const to = Math.min(chunk.length, from + this.head.length - this.headFilled);
    chunk.copy(this.head, this.headFilled, from, to);
    this.headFilled += to - from;
    // The size alone may be wrong already, and nothing more may come.
    if (this.headFilled >= sizeBytes) this.sizeAt(this.head, 0);
    if (this.headFilled < this.head.length) return to;
    this.headFilled = 0;
    return this.headed(this.head, 0, chunk, to);
  }

  /** `head[headAt, +8)` was read; the rest of the response begins at `from` of `chunk`. */
  private headed(head: Buffer, headAt: number, chunk: Buffer, from: number): number {
    const size = this.sizeAt(head, headAt) - idBytes;
    const correlationId = head.readInt32BE(headAt + sizeBytes);
    const isWhole = chunk.length - from >= size;
    if (size === 0 || (isWhole && !this.receiver.keeps(correlationId))) {
      this.receiver.received(correlationId, chunk.subarray(from, from + size));
      return from + size;
    }
    this.body = this.receiver.allocate(correlationId, size);
    this.correlationId = correlationId;
    this.size = size;
    this.filled = 0;
    return from;
  }

  private sizeAt(head: Buffer, at: number): number {
    const size = head.readInt32BE(at);
    if (size >= idBytes && size <= largestResponse) return size;
    const text = head.toString("latin1", at, at + sizeBytes).replace(/[^ -~]/g, ".");
    throw new FrameError(
      `a response of ${size} bytes was announced (${idBytes} to ${largestResponse} are possible; as text "${text}"): this is not Kafka's protocol, or bytes were lost`,
    );
  }
}
