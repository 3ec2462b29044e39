/** Generations of a log that were written and rotated between two looks, and which of them comes first. */

import type { FollowedFile } from "../files/file.ts";
import type { Stat } from "../fs/fs.ts";
import { stableSlack } from "../fs/mounts.ts";
import { isLogName, looksCompressed, siblingsOf, strictRootName } from "../fs/rotated-names.ts";
import { sameFile } from "../identity/identity.ts";
import { covers, isUnknown, probe } from "./compare.ts";
import type { Context } from "./context.ts";
import { follow } from "./follow.ts";
import { isHeld } from "./same-file.ts";

/** As `stableSlack`, where a server's clock tells. */
const remoteSlack = 2000;

/**
 * Generations between `file`, last seen at `path` at `since` (wall clock), and what is there now: written and rotated
 * between two looks, last changed not after `until`. Follows them, oldest first, and returns the last one; `file` itself if there are none.
 */
export function generations<T extends FollowedFile | null>(
  context: Context,
  file: T,
  path: string,
  since: number,
  until = Number.POSITIVE_INFINITY,
): T | FollowedFile {
  const { registry, fs, options } = context;
  if (!options.reopen || !isLogName(path)) return file;
  const slack = clockSlack(context, path);
  const root = strictRootName(path);
  let last: T | FollowedFile = file;
  const siblings = probe(context, () => siblingsOf(fs, path)) ?? [];
  for (const { path: sibling, stat } of siblings.reverse()) {
    if (stat.mtime <= since - slack || stat.mtime > until || strictRootName(sibling) !== root || stat.size === 0)
      continue;
    const named = registry.byPath.get(sibling);
    if (named && !sameFile(named.identity, stat, fs.traits(path).stable)) {
      // Rotated on since it was looked at: what has its name now may be such a generation.
      context.look(named);
      const there = registry.byPath.get(sibling);
      if (there && there !== named && there.read === 0) {
        there.after = last;
        last = there;
      }
    }
    if (registry.byPath.has(sibling) || registry.copies.has(sibling)) continue;
    const held = () => isHeld(context, sibling, stat);
    if (held()) continue;
    // While relatives are looked at a look at one of them may begin to follow it.
    const known = () =>
      held() || registry.generations(sibling).some((other) => isCopied(context, other, sibling, stat));
    if (!isUnknown(context, sibling, known)) continue;
    const added = follow(context, sibling, {
      after: later(
        last?.gone ? last.after : last,
        until < Number.POSITIVE_INFINITY ? null : predecessor(context, sibling, stat),
      ),
      attached: context.discovery.matches(sibling),
      from: false,
    });
    if (!added) continue;
    added.replaced = true;
    registry.setLastAt(path, added);
    last = added;
  }
  if (last && registry.missing.has(path))
    registry.missing.set(path, { file: last, since: Math.min(until, context.clock.now()) });
  return last;
}

/** Is the path, of another inode, a copy of the file? Nobody truncates under a rotated name: of such a file only the compressed form is to come. */
function isCopied(context: Context, file: FollowedFile, path: string, stat: Stat): boolean {
  if (file.gone && sameFile(file.identity, stat, context.fs.traits(path).stable)) return covers(context, file, path);
  if (context.fs.traits(path).stable && !looksCompressed(path))
    if (file.gone ? !context.judgement.mayBeCopyOf(file) : !isLogName(file.path)) return false;
  return covers(context, file, path);
}

/** The youngest older generation of the same log that is not drained yet. */
export function predecessor(context: Context, path: string, stat: Stat): FollowedFile | null {
  let best: FollowedFile | null = null;
  for (const file of context.registry.generations(path)) {
    if (file.gone || file.drained || file.complete || file.path === path || file.mtime > stat.mtime) continue;
    if (best === null || file.mtime >= best.mtime) best = file;
  }
  return best;
}

/** The younger one, of those that are not gone if there is one. */
export function later(file: FollowedFile | null, other: FollowedFile | null): FollowedFile | null {
  if (file === null || file.gone) return other;
  return other !== null && other.mtime > file.mtime ? other : file;
}

/** Milliseconds the clock of times at `path` may be behind ours. */
export function clockSlack(context: Context, path: string): number {
  return context.fs.traits(path).stable ? stableSlack : remoteSlack;
}
