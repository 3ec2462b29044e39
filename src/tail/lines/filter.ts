/** Lines chosen by pattern. */
import type { LineTable } from "./scan.ts";

/** Keeps records that match; true if any was left out. */
export function filterTable(bytes: Buffer, table: LineTable, include: RegExp | null, exclude: RegExp | null): boolean {
  let kept = 0;
  for (let i = 0; i < table.count; i++) {
    const text = bytes.toString("utf8", table.starts[i]!, table.ends[i]!);
    if ((include && text.search(include) < 0) || (exclude && text.search(exclude) >= 0)) continue;
    table.starts[kept] = table.starts[i]!;
    table.ends[kept] = table.ends[i]!;
    table.nexts[kept] = table.nexts[i]!;
    table.lines[kept++] = table.lines[i]!;
  }
  const filtered = kept < table.count;
  table.count = kept;
  return filtered;
}
