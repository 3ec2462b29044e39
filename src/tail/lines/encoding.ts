/** Encodings other than UTF-8 become UTF-8 values; positions stay those of the file. */
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

let out = Buffer.alloc(0);

/** Decodes every record into another, reused buffer and points `starts` and `ends` there. */
export function decodeTable(
  bytes: Buffer,
  table: LineTable,
  encoding: Exclude<Encoding, "raw" | "utf-8"> | Encoding,
): Buffer {
  let length = 0;
  for (let i = 0; i < table.count; i++) length += table.ends[i]! - table.starts[i]!;
  if (out.length < 2 * length) out = Buffer.allocUnsafeSlow(2 * length);
  let at = 0;
  for (let i = 0; i < table.count; i++) {
    const text = decode(bytes.subarray(table.starts[i]!, table.ends[i]!), encoding);
    table.starts[i] = at;
    at += out.write(text, at, "utf8");
    table.ends[i] = at;
  }
  return out;
}

function decode(bytes: Buffer, encoding: Encoding): string {
  if (encoding === "latin1") return bytes.toString("latin1");
  if (encoding === "utf-16le") return bytes.toString("utf16le");
  return Buffer.from(bytes.subarray(0, bytes.length & ~1))
    .swap16()
    .toString("utf16le");
}

/** Bytes of a byte order mark at `at`. */
export function bomLength(
  bytes: Uint8Array,
  at: number,
  encoding: Encoding | null,
  wanted: TailOptions["encoding"],
): number {
  if (encoding === "utf-16le") return bytes[at] === 0xff && bytes[at + 1] === 0xfe ? 2 : 0;
  if (encoding === "utf-16be") return bytes[at] === 0xfe && bytes[at + 1] === 0xff ? 2 : 0;
  return wanted === "auto" && bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf ? 3 : 0;
}
