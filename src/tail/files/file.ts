/** One followed file: a stream of content with an identity, whatever its name is at the moment. */
import type { FileId } from "../../lines.ts";
import type { Random } from "../../runtime.ts";
import type { ContentHash, FileState } from "../../state/types.ts";
import { contentHash, fingerprintBytes, type Identity, identityOf, markerBytes } from "../identity/identity.ts";
import type { Codec } from "../source/decoder.ts";
import type { Source } from "../source/source.ts";
import { Marks } from "./markers.ts";
import { Pending, type RawMarker } from "./pending.ts";
import type { Scheduled } from "./schedule.ts";

export type Encoding = "raw" | "utf-8" | "utf-16le" | "utf-16be" | "latin1";

export class FollowedFile implements Scheduled {
  readonly id: FileId;
  readonly key: string;
  readonly input: string;
  path: string;
  identity: Identity;
  source: Source | null = null;
  /** Not null: positions are those of the decompressed content. */
  codec: Codec | null = null;
  /** The name leads to this file; false: it was renamed away from the patterns, replaced or deleted. */
  attached = true;
  /** Neither a name nor a descriptor leads to it. */
  gone = false;
  /** Gone or read to its final end, and settled. */
  done = false;
  /** A compressed file that was read to its end. */
  complete = false;
  /** Position behind what was handed out. */
  read: number;
  /** Number of the line that starts at `read`. */
  line: number;
  /** Bytes as last seen. */
  size = 0;
  mtime = 0;
  links = 1;
  /** Raw bytes before `read`, as they were read. */
  readonly tail = Buffer.alloc(markerBytes);
  tailLength = 0;
  /** Some earlier chunk ends, ascending. */
  readonly marks = new Marks();
  /** What must lie before `read` in a file that was found again; checked before the first read. */
  expect: ContentHash | null = null;
  /** It was found again by its fingerprint: compared once more with the bytes that are read, for a position may have no marker. */
  headUnproven = false;
  /** Bytes of the unread content as it was when first seen: a header alone does not tell one generation from the next. */
  sample: { from: number; bytes: Buffer } | null = null;
  /** No newline in [read, scanned). */
  scanned: number;
  /** Only NULs in [read, holeScanned). */
  holeScanned = 0;
  /** Complete lines wait for the end of their record (multiline). */
  openGroup = false;
  pending: Pending;
  due = 0;
  slot = -1;
  /** Milliseconds between checks. */
  interval = 0;
  /** Monotonic milliseconds at which it last grew. */
  lastData = 0;
  /** Monotonic milliseconds of the last stat. */
  lastStat = Number.NEGATIVE_INFINITY;
  /** The last read found complete lines. */
  growing = false;
  /** That read found the file's end, and handed out every complete line before it. */
  exhausted = false;
  /** Wall clock at which the name was last seen to lead here. */
  namedAt = 0;
  /** Wall clock at which what was read was last seen to be still there. */
  verifiedAt = 0;
  /** Waits in the queue of readable files. */
  queued = false;
  /** Everything was handed out since it lost its name. */
  drained = false;
  /** Its size when it was last found to have grown since. */
  drainedTo = 0;
  /** Another file waits until this one is drained. */
  awaited = false;
  #after: FollowedFile | null = null;
  /** Something newer sits at its old path. */
  replaced = false;
  /** It was truncated, or a path that held its content waited when it went: what holds its content is a copy. */
  copied = false;
  /** Nobody will finish its last line: it is handed out without a newline. */
  final = false;
  /** Position up to which `once` reads. */
  limit = Number.POSITIVE_INFINITY;
  encoding: Encoding | null = null;
  /** Said already that it cannot be read. */
  unreadable = false;
  /** There is no descriptor for it now. */
  starved = false;
  /** An asynchronous look is under way. */
  looking = false;
  fifo = false;
  /** Bytes it had when an earlier run looked at it last, if those were not all sent. */
  sizeBefore = 0;
  /** Its name led elsewhere when an earlier run ended, or it was said already that it is not to be found. */
  wasLeft = false;
  #head: Buffer | null = Buffer.alloc(0);
  #fingerprint: ContentHash | null = null;
  #unreadMarker: ContentHash | null = null;

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
    this.identity = { dev: init.identity.dev, ino: init.identity.ino, birth: init.identity.birth };
    this.read = init.position;
    this.scanned = init.position;
    this.line = init.line;
    const { position, line } = init;
    this.pending = new Pending({ position, line, marker: null });
  }

  /** A file that goes on where `state` says, once it is found. */
  static resume(id: FileId, state: FileState): FollowedFile {
    const { key, input, path, position, line } = state;
    const file = new FollowedFile({ id, key, input, path, identity: identityOf(state), position, line });
    file.attached = false;
    file.gone = true;
    file.done = state.done ?? false;
    file.lastLook = state.seen;
    file.sizeBefore = state.size ?? 0;
    file.wasLeft = state.left ?? false;
    if (position > 0) file.expect = state.marker;
    else file.#unreadMarker = state.marker;
    file.#fingerprint = state.fingerprint;
    if (state.fingerprint.length > 0) file.#head = null;
    file.pending = new Pending({ position, line, marker: state.marker });
    return file;
  }

  /** The generation before: is drained first. */
  get after(): FollowedFile | null {
    return this.#after;
  }

  /** Never closes a circle: of two files that would wait for each other the later wish is dropped. */
  set after(file: FollowedFile | null) {
    for (let other = file; other; other = other.#after) if (other === this) return;
    this.#after = file;
    if (file) file.awaited = true;
  }

  /** While nothing is read: the sample, as a hash that outlives the process in place of a marker. */
  get unreadMarker(): ContentHash | null {
    if (this.sample) this.#unreadMarker = contentHash(this.sample.bytes, this.sample.from);
    return this.#unreadMarker;
  }

  /** Wall clock until which it is certain what happened to the file. */
  get lastLook(): number {
    return Math.min(this.namedAt, this.verifiedAt);
  }

  set lastLook(now: number) {
    this.namedAt = now;
    this.verifiedAt = now;
  }

  get position(): number {
    return this.pending.settled.position;
  }

  get settledAll(): boolean {
    return this.pending.settled.position >= this.read;
  }

  /** It was sent whole, and no name leads to it: nothing but our descriptor does. */
  get unlinked(): boolean {
    return !this.attached && this.links === 0 && this.drained && this.settledAll && this.size <= this.read;
  }

  get fingerprint(): ContentHash {
    this.#fingerprint ??= contentHash(this.#head!, 0);
    return this.#fingerprint;
  }

  /** Marker of what was handed out, not of what is settled. */
  get readMarker(): ContentHash | null {
    if (this.expect) return this.expect;
    return this.tailLength === 0
      ? null
      : contentHash(this.tail.subarray(0, this.tailLength), this.read - this.tailLength);
  }

  /** Does the fingerprint still grow? */
  get headOpen(): boolean {
    return this.#head !== null && this.#head.length < fingerprintBytes;
  }

  /** The first bytes, as long as nothing was handed out: they stand in for the tail. */
  get head(): Buffer | null {
    return this.#head;
  }

  /** Bytes that lie at `at` were read: the fingerprint grows with them until it is complete. */
  growHead(bytes: Uint8Array, at: number): void {
    const head = this.#head;
    if (head === null || head.length >= fingerprintBytes || at > head.length || at + bytes.length <= head.length)
      return;
    this.#head = Buffer.concat([head, bytes.subarray(head.length - at, fingerprintBytes - at)]);
    this.#fingerprint = null;
  }

  /** Only the hash of the beginning is known, but its bytes will be needed: to go on growing it, or in place of a tail. */
  get headMissing(): boolean {
    return (
      this.#head === null &&
      this.#fingerprint !== null &&
      (this.read === 0 || this.#fingerprint.length < fingerprintBytes)
    );
  }

  restoreHead(bytes: Uint8Array): void {
    this.#head = Buffer.from(bytes);
    this.#fingerprint = null;
  }

  /** Sets what lies before `read`: the bytes before `end`. */
  setTail(bytes: Buffer, end = bytes.length): void {
    const from = Math.max(0, end - markerBytes);
    bytes.copy(this.tail, 0, from, end);
    this.tailLength = end - from;
    if (this.#head?.length === fingerprintBytes && this.tailLength > 0) {
      this.#fingerprint ??= contentHash(this.#head, 0);
      this.#head = null;
    }
  }

  /** Remembers marks inside of the last chunk and the bytes `before` its end: a copy may end there. Of many marks those close to the end are kept. */
  mark(inside: readonly RawMarker[], before: Uint8Array): void {
    for (const mark of inside) this.marks.keep(mark, this.read);
    this.marks.keep({ to: this.read, bytes: before }, this.read);
  }

  tailBytes(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.tail, 0, this.tailLength);
  }

  state(): FileState {
    const { position, line, marker } = this.pending.settled;
    const unsent = Math.max(this.size, this.read);
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
      marker:
        position === 0
          ? this.unreadMarker
          : marker !== null && "bytes" in marker
            ? contentHash(marker.bytes, marker.to - marker.bytes.length)
            : marker,
      seen: Math.round(this.lastLook),
      ...(this.codec === null && unsent > position ? { size: unsent } : {}),
      ...((this.gone ? this.wasLeft : !this.attached) ? { left: true as const } : {}),
      ...(this.done || this.unlinked ? { done: true as const } : {}),
    };
  }
}

/** A key for the journal that no other file has: 24 hexadecimal digits. */
export function newKey(random: Random): string {
  const part = () =>
    Math.floor(random() * 2 ** 48)
      .toString(16)
      .padStart(12, "0");
  return part() + part();
}
