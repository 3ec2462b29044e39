/** An order of rooms as text, `main → commands → kafka, tail → errors`, and what imports say against it. */

export interface Order {
  /** The folder whose files and folders are the rooms. */
  folder: string;
  /** From the top; the rooms of one layer stand side by side. */
  layers: string[][];
}

export function parseOrder(folder: string, text: string): Order {
  const layers = text.trim().split("→");
  return { folder, layers: layers.map((layer) => layer.split(",").map((room) => room.trim())) };
}

export interface Arrow {
  /** `src/a.ts → src/b.ts` */
  arrow: string;
  sentence: string;
}

/** Imports from a room into one above or beside it. */
export function arrowsAgainst({ folder, layers }: Order, imports: ReadonlyMap<string, readonly string[]>): Arrow[] {
  const roomOf = (file: string) =>
    file.startsWith(`${folder}/`)
      ? file
          .slice(folder.length + 1)
          .split("/")[0]!
          .replace(/\.ts$/, "")
      : null;
  const heights = new Map(layers.flatMap((rooms, height) => rooms.map((room) => [room, height] as const)));
  const found: Arrow[] = [];
  for (const [file, targets] of imports) {
    const room = roomOf(file);
    for (const target of targets) {
      const other = roomOf(target);
      if (room === null || other === null || room === other) continue;
      const [from, to] = [heights.get(room) ?? 0, heights.get(other) ?? 0];
      if (from < to) continue;
      const reason =
        from === to
          ? `${room} and ${other} stand side by side and must not know each other`
          : `${other} stands above ${room}, and a room uses only what stands below it`;
      found.push({ arrow: `${file} → ${target}`, sentence: `${file} imports ${target}: ${reason}` });
    }
  }
  return found;
}

/** The groups of files that import each other in a circle (Tarjan), each sorted. */
export function circles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string) => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const next of imports.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of imports.keys()) if (!index.has(file)) visit(file);
  return found;
}
