/** Encodings other than UTF-8 become UTF-8 values; positions stay those of the file. */
import { isUtf8 } from "node:buffer";
import type { Encoding } from "../files/file.ts";
import type { TailOptions } from "../types.ts";
import type { LineTable } from "./scan.ts";

/** `head`: the file's first bytes. Null: it may be the first byte of a byte order mark whose second is not written yet. */
export function detectEncoding(wanted: TailOptions["encoding"], head: Uint8Array): Encoding | null {
  if (wanted !== "auto") return wanted;
  if (head.length === 0 || (head.length === 1 && head[0]! >= 0xfe)) return null;
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  return "utf-8";
}

export const newline16 = { "utf-16le": Buffer.from([10, 0]), "utf-16be": Buffer.from([0, 10]) };

/** Two bytes a character? */
export function isWide(encoding: Encoding | null): encoding is "utf-16le" | "utf-16be" {
  return encoding === "utf-16le" || encoding === "utf-16be";
}

/** Do the values need to be decoded? Those of UTF-8 only where they are not UTF-8, which costs one look at all of them. */
export function decodes(encoding: Encoding | null, bytes: Buffer, { count, starts, ends }: LineTable): boolean {
  if (encoding !== "utf-8") return encoding !== "raw";
  return count > 0 && !isUtf8(bytes.subarray(starts[0]!, ends[count - 1]!));
}

let out = Buffer.alloc(0);

/**
 * Decodes every record into another, reused buffer and points `starts` and `ends` there. What is no character of the
 * encoding becomes U+FFFD.
 */
export function decodeTable(bytes: Buffer, table: LineTable, encoding: Encoding | null): Buffer {
  let length = 0;
  for (let i = 0; i < table.count; i++) length += table.ends[i]! - table.starts[i]!;
  // A byte becomes at most two of UTF-8, or the three of U+FFFD.
  const most = length * (encoding === "utf-8" ? 3 : 2);
  if (out.length < most) out = Buffer.allocUnsafeSlow(most);
  let at = 0;
  for (let i = 0; i < table.count; i++) {
    const text = decode(bytes, table.starts[i]!, table.ends[i]!, encoding);
    table.starts[i] = at;
    at += out.write(text, at, "utf8");
    table.ends[i] = at;
  }
  return out;
}

/** No buffer per line: millions of them would be garbage for long. */
function decode(bytes: Buffer, from: number, to: number, encoding: Encoding | null): string {
  if (encoding === "latin1") return bytes.toString("latin1", from, to);
  if (encoding === "utf-16le") return bytes.toString("utf16le", from, to);
  if (encoding !== "utf-16be") return bytes.toString("utf8", from, to);
  return Buffer.from(bytes.subarray(from, to - ((to - from) % 2)))
    .swap16()
    .toString("utf16le");
}

/** Bytes of a byte order mark at `at`; `raw` has none. */
export function bomLength(bytes: Uint8Array, at: number, encoding: Encoding | null): number {
  if (encoding === "utf-16le") return bytes[at] === 0xff && bytes[at + 1] === 0xfe ? 2 : 0;
  if (encoding === "utf-16be") return bytes[at] === 0xfe && bytes[at + 1] === 0xff ? 2 : 0;
  if (encoding !== "utf-8") return 0;
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf ? 3 : 0;
}

/** Where a value that begins at `from` may end at most at `end`: not within a character. */
export function characterEnd(bytes: Uint8Array, from: number, end: number, encoding: Encoding | null): number {
  if (isWide(encoding)) {
    const cut = end - ((end - from) % 2);
    const high = bytes[cut - (encoding === "utf-16le" ? 1 : 2)]! & 0xfc;
    return high === 0xd8 && cut > from + 2 ? cut - 2 : cut;
  }
  if (encoding === "latin1") return end;
  let cut = end;
  while (end - cut < 3 && cut > from + 1 && (bytes[cut]! & 0xc0) === 0x80) cut--;
  return cut;
}
