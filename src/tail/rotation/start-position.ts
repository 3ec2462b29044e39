/** Where an input's very first scan begins in a file. */
import type { Content } from "../identity/fingerprint.ts";
import { bomLength, detectEncoding, isWide, newline16 } from "../lines/encoding.ts";
import type { TailOptions } from "../types.ts";

/** Bytes; even, so that two bytes of a character stay together. */
const block = 65_536;
/** Bytes that are looked through at most: a line may be endless, and a hole has no line at all. */
const mostBytes = 16 * block;

/**
 * Bytes. "end" is the start of the last line if that is not complete yet; ±BYTES moves on to the next line start. Where
 * there is no line end within 1 MiB, it is the place itself, between two characters of an encoding of two bytes.
 */
export function startPosition(
  content: Pick<Content, "read">,
  size: number,
  { from, encoding: wanted }: Pick<TailOptions, "from" | "encoding">,
): number {
  if (from === "beginning" || size === 0) return 0;
  const head = content.read(0, 4);
  const encoding = detectEncoding(wanted, head) ?? "utf-8";
  const width = isWide(encoding) ? 2 : 1;
  const newline = isWide(encoding) ? newline16[encoding] : newline8;
  if (from === "end") {
    const last = size - (size % width);
    for (let end = last; end > 0 && last - end < mostBytes; end -= block) {
      const start = Math.max(0, end - block);
      const found = lastEnd(content.read(start, end - start), newline);
      if (found >= 0) return start + found;
      if (start === 0) return 0;
    }
    return last;
  }
  const place = from < 0 ? Math.max(0, size + from) : Math.min(size, from);
  if (place <= bomLength(head, 0, encoding)) return 0;
  // A line may end right before the place.
  const first = Math.ceil(place / width) * width - width;
  for (let at = first; at < size; at += block) {
    if (at - first >= mostBytes) return first + width;
    const found = firstEnd(content.read(at, block), newline);
    if (found >= 0) return at + found;
  }
  return size - (size % width);
}

const newline8 = Buffer.from("\n");

/** Offset behind the first line end, -1: none. */
function firstEnd(bytes: Buffer, newline: Buffer): number {
  let at = bytes.indexOf(newline);
  while (at >= 0 && at % newline.length !== 0) at = bytes.indexOf(newline, at + 1);
  return at < 0 ? -1 : at + newline.length;
}

/** Offset behind the last line end, -1: none. */
function lastEnd(bytes: Buffer, newline: Buffer): number {
  let at = bytes.lastIndexOf(newline);
  while (at > 0 && at % newline.length !== 0) at = bytes.lastIndexOf(newline, at - 1);
  return at < 0 ? -1 : at + newline.length;
}
