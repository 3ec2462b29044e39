/**
 * Paths as text. Names are bytes: one that is not UTF-8 is kept in a string all the same, each of its bad bytes 0xNN as the
 * lone surrogate U+DCNN (PEP 383), which no valid name gives. JSON keeps such a string, so the journal does too.
 */

import { readFileSync } from "node:fs";
import { sequenceLength } from "./printable.ts";

/** Bytes of a name or path → text that `encodePath` turns into the same bytes. */
export function decodePath(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = buffer.toString();
  if (!text.includes("\ufffd") || Buffer.from(text).equals(buffer)) return text;
  let out = "";
  for (let i = 0; i < buffer.length; ) {
    const length = sequenceLength(buffer, i);
    out += length === 0 ? String.fromCharCode(0xdc00 + buffer[i]!) : buffer.toString("utf8", i, i + length);
    i += Math.max(1, length);
  }
  return out;
}

/** What system calls take: the text itself, or its bytes where they are not UTF-8. */
export function encodePath(path: string): string | Buffer {
  if (path.isWellFormed()) return path;
  const parts = path.split(/([\udc80-\udcff])/u);
  return Buffer.concat(
    parts.map((part, i) => (i % 2 === 1 ? Buffer.of(part.charCodeAt(0) - 0xdc00) : Buffer.from(part))),
  );
}

/** Command-line words with the bytes they were given: the runtime puts U+FFFD in the place of those that are not UTF-8. */
export function exactWords(words: readonly string[]): string[] {
  if (!words.some((word) => word.includes("\ufffd"))) return [...words];
  try {
    const line = readFileSync("/proc/self/cmdline", "latin1").split("\0").slice(0, -1);
    return line.slice(-words.length).map((word) => decodePath(Buffer.from(word, "latin1")));
  } catch {
    return [...words];
  }
}

/** As shown to people and written into records: a byte that is not UTF-8 is `\xNN`. */
export function showPath(path: string): string {
  if (path.isWellFormed()) return path;
  return path.replace(/[\udc80-\udcff]/gu, (one) => `\\x${(one.charCodeAt(0) - 0xdc00).toString(16)}`);
}
