/** Tables in Markdown, medians and ratios. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Of unsorted values, by the nearest rank; NaN for none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

/** Columns are as wide as their widest cell; numbers stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, i) => Math.max(3, name.length, ...rows.map((row) => (row[i] ?? "").length)));
  const numeric = head.map(
    (_, i) => i > 0 && rows.every((row) => /^([<≤≥]? ?[\d.,]+.*|[–-]?|n\/a.*)$/.test(row[i] ?? "")),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (numeric[i] ? (cells[i] ?? "").padStart(width) : (cells[i] ?? "").padEnd(width))).join(" | ")} |`;
  const rule = widths.map((width, i) => (numeric[i] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

export const ratio = (value: number) => `${value.toFixed(2)} ×`;
export const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`;
export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)}`;
export const seconds = (value: number) => value.toFixed(2);
export const thousands = (value: number) => `${(value / 1000).toFixed(0)}k`;
export const millis = (value: number) => value.toFixed(value < 100 ? 1 : 0);
