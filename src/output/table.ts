/** Plain tables for people: columns parted by two spaces, numbers to the right, nothing that a shell would trip over. */
import { printable } from "../printable.ts";

export type Cell = string | number | bigint | null;

/** A header line and one line per row; null shows as "-". Columns whose cells are all numbers are right-aligned. */
export function formatTable(headers: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(cellText));
  const widths = headers.map((header, i) => Math.max(header.length, ...texts.map((row) => row[i]?.length ?? 0)));
  const right = headers.map((_, i) => rows.length > 0 && rows.every((row) => isNumeric(row[i])));
  const line = (cells: readonly string[]) =>
    `${cells.map((cell, i) => (right[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join("  ")}`.trimEnd();
  return `${[headers, ...texts].map(line).join("\n")}\n`;
}

/** One line per fact, `Name  value`; null is left out, its name still counts for the width. */
export function formatFacts(facts: readonly (readonly [name: string, value: Cell])[]): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  const shown = facts.filter(([, value]) => value !== null);
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}\n`).join("");
}

function isNumeric(cell: Cell | undefined): boolean {
  return cell === null || typeof cell === "number" || typeof cell === "bigint";
}

function cellText(cell: Cell): string {
  // A line break or escape sequence in a name must not break the table or the terminal.
  return cell === null ? "-" : printable(String(cell));
}

/** 1536 → "1.5 KiB". */
export function humanBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
