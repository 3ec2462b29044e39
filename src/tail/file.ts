/** One followed file: a stream of content with an identity, whatever its name is at the moment. */
import type { FileId } from "../lines.ts";
import type { ContentHash, FileState } from "../state/types.ts";
import type { Scheduled } from "./heap.ts";
import { contentHash, fingerprintBytes, type Identity, identityOf, markerBytes } from "./identity.ts";
import { Pending } from "./pending.ts";
import type { Source } from "./source.ts";

export type Encoding = "raw" | "utf-8" | "utf-16le" | "utf-16be" | "latin1";

export class FollowedFile implements Scheduled {
  readonly id: FileId;
  readonly key: string;
  readonly input: string;
  path: string;
  identity: Identity;
  source: Source | null = null;
  /** The name leads to this file; false: it was renamed away from the patterns, replaced or deleted. */
  attached = true;
  /** Position behind what was handed out. */
  read: number;
  /** Number of the line that starts at `read`. */
  line: number;
  /** As last seen. */
  size = 0;
  mtime = 0;
  links = 1;
  /** Raw bytes before `read`. */
  readonly tail = Buffer.alloc(markerBytes);
  tailLength = 0;
  /** No newline in [read, scanned). */
  scanned: number;
  pending: Pending;
  due = 0;
  slot = -1;
  /** Milliseconds between checks. */
  interval = 0;
  /** Monotonic milliseconds at which data was last seen. */
  lastData = 0;
  /** Wall clock of the last look. */
  lastLook = 0;
  /** Waits in the queue of readable files. */
  queued = false;
  /** Everything readable was handed out at the last read. */
  drained = false;
  /** Is not read before this one is drained: the generation before. */
  after: FollowedFile | null = null;
  /** Something newer sits at its old path. */
  replaced = false;
  /** Nothing will come any more: an unterminated last line is handed out too. */
  final = false;
  done = false;
  encoding: Encoding | null = null;
  /** Position up to which `once` reads. */
  limit = Number.POSITIVE_INFINITY;
  used = 0;
  /** Said already that it cannot be read. */
  unreadable = false;
  #head: Buffer | null = Buffer.alloc(0);
  #fingerprint: ContentHash | null = null;

  constructor(init: {
    id: FileId;
    key: string;
    input: string;
    path: string;
    identity: Identity;
    position: number;
    line: number;
  }) {
    this.id = init.id;
    this.key = init.key;
    this.input = init.input;
    this.path = init.path;
    this.identity = init.identity;
    this.read = init.position;
    this.scanned = init.position;
    this.line = init.line;
    this.pending = new Pending({
      position: init.position,
      line: init.line,
      before: new Uint8Array(0),
      markAt: init.position,
    });
  }

  get position(): number {
    return this.pending.settled.position;
  }

  get settledAll(): boolean {
    return this.pending.settled.position >= this.read;
  }

  get fingerprint(): ContentHash {
    this.#fingerprint ??= contentHash(this.#head!, 0);
    return this.#fingerprint;
  }

  /** Bytes that lie at `at` were read: the fingerprint grows with them until it is complete. */
  growHead(bytes: Uint8Array, at: number): void {
    const head = this.#head;
    if (head === null || at > head.length || at + bytes.length <= head.length) return;
    const grown = Buffer.concat([head, bytes.subarray(head.length - at, fingerprintBytes - at)]);
    this.#fingerprint = null;
    if (grown.length < fingerprintBytes) this.#head = grown;
    else {
      this.#fingerprint = contentHash(grown, 0);
      this.#head = null;
    }
  }

  get headLength(): number {
    return this.#head === null ? fingerprintBytes : this.#head.length;
  }

  /** Sets what lies before `read`. */
  setTail(bytes: Uint8Array): void {
    const from = Math.max(0, bytes.length - markerBytes);
    this.tail.set(bytes.subarray(from));
    this.tailLength = bytes.length - from;
  }

  /** The bytes before `read`, for the marker of a start in the middle. */
  markStart(): void {
    this.pending = new Pending({ position: this.read, line: this.line, before: this.tailBytes(), markAt: this.read });
  }

  tailBytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.tail, 0, this.tailLength);
  }

  state(now: number): FileState {
    const { position, line, before, markAt } = this.pending.settled;
    return {
      key: this.key,
      input: this.input,
      path: this.path,
      dev: this.identity.dev,
      ino: String(this.identity.ino),
      birth: String(this.identity.birth),
      position,
      line,
      fingerprint: this.fingerprint,
      marker: before.length === 0 ? null : contentHash(before, markAt - before.length),
      seen: Math.round(now),
      ...(this.done ? { done: true as const } : {}),
    };
  }

  /** A file that goes on where `state` says; its head and tail must still be read from the file. */
  static resume(id: FileId, state: FileState): FollowedFile {
    return new FollowedFile({
      id,
      key: state.key,
      input: state.input,
      path: state.path,
      identity: identityOf(state),
      position: state.position,
      line: state.line,
    });
  }
}
