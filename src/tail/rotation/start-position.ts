/** Where an input's very first scan begins in a file. */
import type { Content } from "../identity/fingerprint.ts";
import type { TailOptions } from "../types.ts";

const block = 65_536;

/** Bytes. "end" is the start of the last line if that is not complete yet; ±BYTES moves on to the next line start. */
export function startPosition(
  content: Pick<Content, "read">,
  size: number,
  { from }: Pick<TailOptions, "from">,
): number {
  if (from === "beginning") return 0;
  if (from === "end") {
    for (let end = size; end > 0 && size - end < 16 * block; end -= block) {
      const start = Math.max(0, end - block);
      const newline = content.read(start, end - start).lastIndexOf(10);
      if (newline >= 0) return start + newline + 1;
      if (start === 0) return 0;
    }
    return size;
  }
  const wanted = from < 0 ? Math.max(0, size + from) : Math.min(size, from);
  if (wanted === 0) return 0;
  for (let at = wanted - 1; at < size; at += block) {
    const newline = content.read(at, block).indexOf(10);
    if (newline >= 0) return at + newline + 1;
  }
  return size;
}
