/** Aligned columns for people: header in capitals, two spaces between columns, numbers to the right. */
export type Cell = string | number | bigint | boolean | null | undefined;

/** Lines with a final line break; only the header when there are no rows. Null and undefined show as "-". */
export function formatTable(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => columns.map((_, i) => textOf(row[i])));
  const widths = columns.map((name, i) => Math.max(width(name), ...texts.map((row) => width(row[i] as string))));
  const isNumeric = columns.map((_, i) => rows.length > 0 && rows.every((row) => isNumber(row[i])));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const padding = " ".repeat((widths[i] as number) - width(cell));
        return isNumeric[i] ? padding + cell : cell + padding;
      })
      .join("  ")
      .trimEnd();
  return [columns.map((name) => name.toUpperCase()), ...texts].map((cells) => `${line(cells)}\n`).join("");
}

function textOf(cell: Cell): string {
  if (cell === null || cell === undefined) return "-";
  // Control characters in names would break the lines or the terminal.
  return String(cell).replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function isNumber(cell: Cell): boolean {
  return typeof cell === "number" || typeof cell === "bigint" || cell === null || cell === undefined;
}

/** Code points: near enough for names of topics, groups and hosts. */
function width(text: string): number {
  return [...text].length;
}
