/** Where a file may be that is not at its path any more, nor beside it: behind a link, or moved into a subdirectory. */
import type { Stat } from "../fs/fs.ts";
import { directoryOf, findBeside, inside, joinPath, nameOf, type Sibling, tryStat } from "../fs/rotated-names.ts";
import type { Context } from "./context.ts";
import { clockSlack } from "./generations.ts";

/** Directories looked at below a log's own, as many levels deep: by year and month, mostly. */
const mostPlaces = 64;
const depth = 2;

/**
 * Directories, other than that of `path`, in which a file may be that was followed there: that of the file a link at the
 * path leads to, and subdirectories into which something came after `since` (wall clock). None where a server would be asked.
 */
export function placesOf(context: Context, path: string, since: number): string[] {
  const { fs } = context;
  const own = directoryOf(path);
  if (fs.traits(inside(own)).network) return [];
  const places: string[] = [];
  try {
    const real = fs.lstat(path)?.kind === "link" ? fs.realpath(path) : null;
    if (real !== null && !fs.traits(real).network && directoryOf(real) !== fs.realpath(own))
      places.push(directoryOf(real));
    const later = since - clockSlack(context, path);
    let level = [own];
    for (let i = 0; i < depth && level.length > 0; i++) {
      const next: string[] = [];
      for (const directory of level)
        for (const { name, kind } of fs.readdir(directory) ?? []) {
          if (kind !== "directory" || next.length + places.length >= mostPlaces) continue;
          next.push(joinPath(directory, name));
        }
      for (const directory of next) if ((tryStat(fs, directory)?.mtime ?? 0) > later) places.push(directory);
      level = next;
    }
  } catch (error) {
    context.event("debug", "file-unreadable", `cannot look for what became of ${path}`, { path, cause: error });
  }
  return places;
}

/** A regular file beside `path`, or in one of its places, that the predicate accepts. Throws what its own directory throws. */
export function findMoved(
  context: Context,
  path: string,
  since: number,
  accept: (stat: Stat) => boolean,
): Sibling | null {
  const { fs } = context;
  const beside = findBeside(fs, path, accept);
  if (beside !== null) return beside;
  for (const directory of placesOf(context, path, since)) {
    const found = findBeside(fs, joinPath(directory, nameOf(path)), accept);
    if (found !== null) return found;
  }
  return null;
}
