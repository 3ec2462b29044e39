/** Is what lies at a path a file that is known already? Inode numbers answer where they can be trusted, else the content. */

import type { FollowedFile } from "../files/file.ts";
import type { Stat } from "../fs/fs.ts";
import { isSame } from "../identity/fingerprint.ts";
import { sameFile } from "../identity/identity.ts";
import { PlainSource } from "../source/source.ts";
import { matches } from "./compare.ts";
import type { Context } from "./context.ts";

/** The known file at this inode, if it can be this file; gone or not. */
export function holderOf(context: Context, path: string, stat: Stat): FollowedFile | null {
  const { registry, fs, judgement } = context;
  const file = registry.atInode(stat);
  const { stable } = fs.traits(path);
  return file && judgement.sameFile(file.identity, stat, stable) ? file : null;
}

/** Does the file, of the same inode number, hold what is at the path, as far as can be told? */
export function holds(context: Context, file: FollowedFile, path: string, stat: Stat): boolean {
  const { fs } = context;
  // While it is open its inode cannot be given to another file.
  if (file.source instanceof PlainSource && sameFile(fs.fstat(file.source.fd), stat, fs.traits(path).stable))
    return true;
  const proven = isProven(context, file, path, stat);
  if (file.gone && file.read === 0 && !proven) return false;
  // Only the inode number speaks for an empty file, and that may have been given to a copy of another one.
  return hasContent(file) ? isSame(matches(context, file, path)) : proven;
}

/** Is anything known of the content that could be compared? */
export function hasContent(file: FollowedFile): boolean {
  return file.fingerprint.length > 0;
}

/** Of two equal inode numbers: do birth times prove that they mean the same file? */
export function isProven(context: Context, file: FollowedFile, path: string, stat: Stat): boolean {
  return isProvable(context, file, path) && file.identity.birth === stat.birth;
}

/** Has the file a birth time that can be trusted at the path? */
export function isProvable({ fs }: Context, { identity }: FollowedFile, path: string): boolean {
  return fs.traits(path).stable && identity.birth > 0n;
}

/** Is what lies at the path, which is none of the patterns', followed there or was it read? */
export function isHeld(context: Context, path: string, stat: Stat): boolean {
  const { registry, fs } = context;
  const holder = holderOf(context, path, stat);
  if (holder && !holder.gone && isProven(context, holder, path, stat)) return true;
  if (holder && !(holder.gone && holder.read === 0) && holds(context, holder, path, stat)) return true;
  if (fs.traits(path).stable) return false;
  const at = (file: FollowedFile) => !file.gone && file.path === path && hasContent(file);
  return registry.relatives(path).some((file) => at(file) && isSame(matches(context, file, path)));
}
