/** Matches the journal's states with what is on disk: by identity, then by content, also under another name or compressed. */

import type { FollowedFile } from "../files/file.ts";
import {
  directoryOf,
  joinPath,
  looksCompressed,
  newestFirst,
  type Sibling,
  strictRootName,
  tryStat,
} from "../fs/rotated-names.ts";
import { type Identity, inodeKey } from "../identity/identity.ts";
import { covers, matches } from "./compare.ts";
import type { Context } from "./context.ts";
import { recover } from "./find-copy.ts";
import { adopt, hold, unreadable } from "./follow.ts";
import type { Arrivals } from "./new-paths.ts";
import { findMoved } from "./places.ts";
import { isProvable, isProven } from "./same-file.ts";

/** What was rotated while nobody watched is drained first, oldest first. `held`: open descriptors, by the keys of the states. */
export function resume(
  context: Context,
  arrivals: Arrivals,
  files: readonly FollowedFile[],
  held: ReadonlyMap<string, number> = new Map(),
): void {
  const { registry } = context;
  const history = new Map<string, FollowedFile[]>();
  for (const file of files) {
    registry.add(file);
    if (!file.done || file.read === 0) continue;
    const key = inodeKey(file.identity);
    history.set(key, [...(history.get(key) ?? []), file]);
  }
  const missing: FollowedFile[] = [];
  const left = new Map<string, FollowedFile>();
  const untouched: FollowedFile[] = [];
  for (const file of files) {
    const path = home(context, file.path);
    const fd = held.get(file.key);
    const found = fd === undefined ? byIdentity(context, file, history) : null;
    if (found && context.foreign.take(found.path, found.stat, "warn")) {
      file.done = true; // the other input goes on with it
      continue;
    }
    if (fd !== undefined) hold(context, file, fd);
    else if (found) adopt(context, file, found);
    else if (!file.done) missing.push(file);
    if (found?.path !== path && isLater(file, left.get(path))) left.set(path, file);
    if (found && file.read === 0) untouched.push(file);
  }
  for (const file of missing) {
    if (recover(context, file)) continue;
    gone(context, file);
    // A copy may yet be seen in this run. At the next start what begins alike would be taken for it.
    file.done = file.copied = true;
    registry.changed.add(file.id);
  }
  chain(files.filter((file) => !file.gone && !file.complete));
  // Where nothing is settled a common header may be all that agrees: the file may have been truncated, its content copied.
  for (const file of untouched)
    file.after = arrivals.generations(file.after, base(context, file.path), file.lastLook, file.mtime);
  for (const [path, file] of left) {
    registry.setLastAt(path, file);
    if (!registry.byPath.has(path)) registry.missing.set(path, { file, since: file.lastLook });
    const last = arrivals.generations(file, path, file.lastLook);
    const there = registry.byPath.get(path);
    if (there && last !== file) there.after = last;
  }
}

/**
 * Nothing leads to a file any more, for now: what is known to have been unsent is lost. A log that still had its name may
 * have grown since; of one that was left already all was sent. Said once, not at each start.
 */
function gone(context: Context, file: FollowedFile): void {
  const { path, id, position, sizeBefore, wasLeft } = file;
  const unsent = Math.max(0, sizeBefore - position);
  const followed = `${path} was followed up to ${position} and is not to be found`;
  const about = { path, file: id };
  if (unsent > 0)
    context.event("error", "bytes-lost", `${followed}: ${unsent} bytes of it were not sent`, {
      ...about,
      bytes: unsent,
    });
  else if (wasLeft) context.event("debug", "file-let-go", `${followed}: all that was seen of it was sent`, about);
  else context.event("warn", "file-gone", followed, about);
  file.sizeBefore = 0;
  file.wasLeft = true;
  context.registry.changed.add(id);
}

function isLater(file: FollowedFile, other: FollowedFile | undefined): boolean {
  if (!other || file.lastLook !== other.lastLook) return !other || file.lastLook > other.lastLook;
  return !file.done;
}

/** The path of the patterns that a file with a rotated name had. */
function home({ discovery }: Context, path: string): string {
  if (discovery.matches(path)) return path;
  const before = joinPath(directoryOf(path), strictRootName(path));
  return discovery.matches(before) ? before : path;
}

/** The name without what rotation added, if the patterns have it. */
function base({ discovery }: Context, path: string): string {
  const before = joinPath(directoryOf(path), strictRootName(path));
  return discovery.matches(before) ? before : path;
}

/** The same inode, at its path or beside it, with the content that was read. `history`: what was read to its end, by inode. */
function byIdentity(
  context: Context,
  file: FollowedFile,
  history: ReadonlyMap<string, readonly FollowedFile[]>,
): Sibling | null {
  const { fs, judgement, registry } = context;
  const { stable } = fs.traits(file.path);
  const is = (stat: Identity) => judgement.sameFile(stat, file.identity, stable);
  const stat = tryStat(fs, file.path);
  const known = file.fingerprint.length > 0;
  // Where inode numbers change by themselves the content decides.
  let found: Sibling | null =
    stat?.kind === "file" && (is(stat) || (!stable && known)) ? { path: file.path, stat } : null;
  if (!found && !file.done && (known || isProvable(context, file, file.path))) {
    try {
      found = findMoved(context, file.path, file.lastLook, is);
    } catch (error) {
      unreadable(context, "cannot look beside", file.path, error);
    }
  }
  if (!found) return null;
  if (file.done && !looksCompressed(found.path)) return null; // history only: the content was read to its end and let go
  const holder = registry.byPath.get(found.path) ?? registry.atInode(found.stat);
  if (holder && holder !== file && !holder.gone) return null;
  const { path } = found;
  // Of a generation nothing is settled of, a common header may be all that agrees; a later one at its inode was read.
  if (file.read === 0 && history.get(inodeKey(found.stat))?.some((other) => matches(context, other, path) === "yes"))
    return null;
  if (file.read === 0 && !isProven(context, file, path, found.stat)) {
    const covered = (other: FollowedFile) => other !== file && covers(context, other, path);
    if (registry.relatives(path).some(covered)) return null;
  }
  return judgement.isStill(matches(context, file, path)) ? found : null;
}

/** Generations of one log wait for each other, oldest first. */
function chain(files: readonly FollowedFile[]): void {
  const groups = new Map<string, FollowedFile[]>();
  for (const file of files) {
    const key = `${directoryOf(file.path)}/${strictRootName(file.path)}`;
    const group = groups.get(key);
    if (group) group.push(file);
    else groups.set(key, [file]);
  }
  for (const group of groups.values()) {
    const sorted = group
      .map((file) => ({ file, path: file.path, stat: { mtime: file.mtime } as Sibling["stat"] }))
      .sort((a, b) => -newestFirst(a, b));
    for (let i = 1; i < sorted.length; i++) sorted[i]!.file.after = sorted[i - 1]!.file;
  }
}
