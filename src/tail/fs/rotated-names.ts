/** Names that rotation gives: which files of a directory are generations of the same log. */
import type { Fs, Stat } from "./fs.ts";
import { date, dotNumber, stamp, tilde, withoutSuffix, word } from "./name-suffix.ts";

export interface Sibling {
  path: string;
  stat: Stat;
}

const compressedName = /\.(gz|zst|zstd|xz|bz2)$/;
// ".1", "-20260101", ".2026-01-01T10:00:00", "_2026.01.01-3", ".old", ".bak", ".1.2"; before or behind the extension.
const words = ["old", "bak", "prev", "backup", "save", "copy", "orig"];
const rotationUnits = [tilde, stamp, word("._-", words)];
const strictUnits = [dotNumber, word(".", ["old", "bak", "prev"]), date];
const rotationInfix = /(?:[._-](?:\d[\dT:._+Z-]*|old|bak|prev|backup|save|copy|orig))(?=\.[A-Za-z][A-Za-z0-9]{0,7}$)/;

export function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function joinPath(directory: string, name: string): string {
  return directory === "." ? name : directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

/** The directory as its entries see it: what is mounted there counts, not what it is mounted on. */
export function inside(directory: string): string {
  return joinPath(directory, "") || "./";
}

export function looksCompressed(path: string): boolean {
  return compressedName.test(path);
}

/** "app.log" for app.log, app.log.1, app.log-20260101.gz and app-20260101.log: what all generations have in common. */
export function rootName(path: string): string {
  const plain = nameOf(path).replace(compressedName, "");
  const root = withoutSuffix(plain, rotationUnits);
  return root.replace(rotationInfix, "") || root;
}

/**
 * The same, but only for names that nothing else than a rotation gives: worker-1.log and worker-2.log stay two logs.
 * Decides about order and about generations nobody has seen, where content cannot help.
 */
export function strictRootName(path: string): string {
  const plain = nameOf(path).replace(compressedName, "");
  const root = withoutSuffix(plain, strictUnits);
  return root.replace(/[._-]\d{4}[-._]?\d\d[\d:T._+-]*(?=\.[A-Za-z][A-Za-z0-9]{0,7}$)/, "") || root;
}

/** Is it the name of a log itself, and not one that only a rotation gives? */
export function isLogName(path: string): boolean {
  return strictRootName(path) === nameOf(path);
}

/**
 * The regular files of a directory, mostly that of `path`, that could be generations of it, without `path` itself; newest
 * content first. Throws what the directory throws.
 */
export function siblingsOf(fs: Fs, path: string, directory = directoryOf(path)): Sibling[] {
  const own = directory === directoryOf(path) ? nameOf(path) : "";
  const root = rootName(path);
  const found: Sibling[] = [];
  for (const entry of fs.readdir(directory) ?? []) {
    if (entry.name === own || rootName(entry.name) !== root || (entry.kind !== "file" && entry.kind !== "unknown"))
      continue;
    const sibling = joinPath(directory, entry.name);
    const stat = tryStat(fs, sibling);
    if (stat?.kind === "file") found.push({ path: sibling, stat });
  }
  return found.sort(newestFirst);
}

/** Any regular file beside `path` that the predicate accepts, whatever its name. */
export function findBeside(fs: Fs, path: string, accept: (stat: Stat) => boolean): Sibling | null {
  const directory = directoryOf(path);
  for (const entry of fs.readdir(directory) ?? []) {
    if (entry.kind !== "file" && entry.kind !== "unknown") continue;
    const sibling = joinPath(directory, entry.name);
    const stat = tryStat(fs, sibling);
    if (stat?.kind === "file" && accept(stat)) return { path: sibling, stat };
  }
  return null;
}

/** Undefined: could not be looked at, which is not "gone". */
export function tryStat(fs: Fs, path: string): Stat | null | undefined {
  try {
    return fs.stat(path);
  } catch {
    return undefined;
  }
}

/** By time of the last change; of the same time the higher generation number is the older one, the later date the newer. */
export function newestFirst(a: Sibling, b: Sibling): number {
  if (a.stat.mtime !== b.stat.mtime) return b.stat.mtime - a.stat.mtime;
  const [x, y] = [generation(a.path), generation(b.path)];
  if (x.short && y.short) return x.number - y.number;
  return a.path < b.path ? 1 : -1;
}

/** The number in ".7"; not short: a date. */
function generation(path: string): { number: number; short: boolean } {
  const digits = /[._-](\d+)$/.exec(nameOf(path).replace(compressedName, ""))?.[1];
  if (digits === undefined) return { number: 0, short: true };
  return { number: Number(digits), short: digits.length < 6 };
}

/** Is the path's name that of `log` with something added, at its end or before its extension? `root`: that of the path. */
export function isNamedFor(log: string, path: string, root = rootName(path)): boolean {
  return path.startsWith(log) || nameOf(log) === root;
}
