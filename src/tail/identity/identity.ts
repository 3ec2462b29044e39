/** What makes a file that file: device, inode and birth time, backed by hashes of its content. */
import { createHash } from "node:crypto";
import type { ContentHash, FileState } from "../../state/types.ts";
import type { Fs } from "../fs/fs.ts";

/** Bytes of a file's beginning that the fingerprint covers at most. */
export const fingerprintBytes = 1024;
/** Bytes before a position that the marker covers at most. */
export const markerBytes = 64;

export interface Identity {
  dev: number;
  ino: bigint;
  birth: bigint;
}

/** Key for maps: device and inode. */
export function inodeKey(file: { dev: number; ino: bigint }): string {
  return `${file.dev}:${file.ino}`;
}

/** Same inode, and not one that was deleted and given out again (birth times differ, where they can be trusted). */
export function sameFile(a: Identity, b: Identity, birthTrusted: boolean): boolean {
  return (
    a.dev === b.dev && a.ino === b.ino && (!birthTrusted || a.birth === 0n || b.birth === 0n || a.birth === b.birth)
  );
}

/** 128 bits of SHA-256, hexadecimal. */
export function hashBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 32);
}

/** The content hash of `bytes` that lie at `from`. */
export function contentHash(bytes: Uint8Array, from: number): ContentHash {
  return { from, length: bytes.length, hash: hashBytes(bytes) };
}

/** Up to `length` bytes at `position`; fewer at the end of the file. */
export function readFully(fs: Fs, fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let done = 0;
  while (done < length) {
    const n = fs.read(fd, bytes, done, length - done, position + done);
    if (n <= 0) break;
    done += n;
  }
  return bytes.subarray(0, done);
}

export function identityOf(state: FileState): Identity {
  return { dev: state.dev, ino: BigInt(state.ino), birth: BigInt(state.birth) };
}
