/** Looks at the content of a file that may be the one, or a copy of the one, that is known by its hashes. */
import type { ContentHash } from "../../state/types.ts";
import type { RawMarker } from "../files/pending.ts";
import type { Fs } from "../fs/fs.ts";
import { looksCompressed } from "../fs/rotated-names.ts";
import { codecOf, decompressPrefix, decompressWhole, magicBytes } from "../source/compressed.ts";
import { type Codec, isForeign } from "../source/decoder.ts";
import { fingerprintBytes, hashBytes, markerBytes, readFully } from "./identity.ts";

export interface Content {
  codec: Codec | null;
  /** Bytes of (decompressed) content as far as they can be told; `complete`: that is all of it. */
  size: number;
  complete: boolean;
  read(position: number, length: number): Buffer;
}

/** Opens, calls `f`, closes. Null: there is no such file, or it is none. Throws the system's errors. */
export function withContent<T>(fs: Fs, path: string, f: (content: Content, fd: number) => T): T | null {
  const fd = fs.open(path);
  if (fd === null) return null;
  try {
    return fs.fstat(fd).kind === "file" ? f(contentOf(fs, fd, path), fd) : null;
  } finally {
    fs.close(fd);
  }
}

export function contentOf(fs: Fs, fd: number, path: string): Content {
  const size = fs.fstat(fd).size;
  const codec = looksCompressed(path) ? codecOf(readFully(fs, fd, 0, magicBytes)) : null;
  if (codec === null)
    return { codec, size, complete: true, read: (position, length) => readFully(fs, fd, position, length) };
  const whole = decompressWhole(fs, fd, codec, size);
  const bytes = whole ?? decompressPrefix(codec, readFully(fs, fd, 0, 65_536));
  return {
    codec,
    size: bytes.length,
    complete: whole !== null,
    read: (position, length) => bytes.subarray(position, position + length),
  };
}

/** "prefix": less than was read, but up to its end the same. "maybe": what can be seen agrees, but the marker is out of reach (a large compressed file, a copy not yet complete). */
export type Match = "yes" | "prefix" | "maybe" | "no";

/** A header that many logs share is seldom longer. */
const headerBytes = 2048;

/** As far as can be seen it is the file itself or all of its content. */
export function isSame(match: Match): boolean {
  return match === "yes" || match === "maybe";
}

export interface Expected {
  fingerprint: ContentHash;
  marker: ContentHash | null;
  /** Bytes it must have at least. */
  position: number;
  /** Unread bytes that were seen once. */
  sample: { from: number; bytes: Buffer } | null;
  /** Earlier markers, ascending: what a shorter copy is compared with. */
  marks: readonly RawMarker[];
}

/** Does the content begin as the fingerprint says, and have the marker's bytes in their place? */
export function matchContent(content: Content, { fingerprint, marker, position, sample, marks }: Expected): Match {
  if (isForeign(content.codec)) return "no";
  if (content.complete && content.size < position) {
    const mark = marks.findLast(({ to }) => to <= content.size);
    // Rather twice than never: a mark within a common header says nothing about what follows it.
    if (!mark || (mark.to < headerBytes && mark.to < content.size)) return "no";
    if (matchHash(content, fingerprint) !== "yes") return "no";
    return content.read(mark.to - mark.bytes.length, mark.bytes.length).equals(mark.bytes) ? "prefix" : "no";
  }
  if (sample && content.complete && !content.read(sample.from, sample.bytes.length).equals(sample.bytes)) return "no";
  const near = matchHash(content, fingerprint);
  if (near !== "yes" || marker === null) return near;
  return matchHash(content, marker);
}

function matchHash(content: Content, expected: ContentHash): Match {
  if (expected.length === 0) return "yes";
  if (content.size < expected.from + expected.length) return content.complete ? "no" : "maybe";
  return hashBytes(content.read(expected.from, expected.length)) === expected.hash ? "yes" : "no";
}

/** The last bytes there are, without NULs, or null where these belong to the head. */
export function sampleOf(content: Content): { from: number; bytes: Buffer } | null {
  const from = content.size - markerBytes;
  if (from < fingerprintBytes) return null;
  const bytes = content.read(from, markerBytes);
  return bytes.includes(0) ? null : { from, bytes: Buffer.from(bytes) };
}

/** The first bytes for a fingerprint, without NULs at their end (a preallocated file). */
export function headOf(content: Content): Buffer {
  const head = content.read(0, fingerprintBytes);
  let length = head.length;
  while (length > 0 && head[length - 1] === 0) length--;
  return head.subarray(0, length);
}
