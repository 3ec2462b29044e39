/** What the files of this repository import of each other, read from their text: types and lazy imports as well. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, sep } from "node:path";

const root = join(import.meta.dirname, "..", "..");

export interface Import {
  /** Path from the repository's root, with `/`. */
  path: string;
  /** `{ … }` of a static import as written, else the empty string. */
  names: string;
}

/** Every `.ts` file below a folder of the repository, as paths from its root. */
export function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => posix.join(folder, name.split(sep).join("/")))
    .sort();
}

export function readSource(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Imports of files of the repository; packages and `node:` are left out. */
export function importsOf(path: string): Import[] {
  const text = readSource(path).replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(?:type\s+)?([^"';]*?)\s*(?:from\s*)?"(\.[^"]+)";|\bimport\("(\.[^"]+)"\)/gm;
  for (const [, names = "", from, lazily] of text.matchAll(statement)) {
    const target = posix.join(posix.dirname(path), (from ?? lazily)!);
    found.push({ path: target, names });
  }
  return found;
}

/** The file and everything it reaches. */
export function reachedFrom(path: string): Map<string, Import[]> {
  const reached = new Map<string, Import[]>();
  const waiting = [path];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (reached.has(next)) continue;
    const imports = importsOf(next);
    reached.set(next, imports);
    waiting.push(...imports.map((one) => one.path));
  }
  return reached;
}
