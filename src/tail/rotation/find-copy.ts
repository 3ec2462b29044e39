/** Finds the bytes of a file that is out of reach in a copy beside it. */

import type { FollowedFile } from "../files/file.ts";
import {
  directoryOf,
  isLogName,
  isNamedFor,
  joinPath,
  looksCompressed,
  type Sibling,
  siblingsOf,
  strictRootName,
} from "../fs/rotated-names.ts";
import { type Content, withContent } from "../identity/fingerprint.ts";
import { covers, matches, probe } from "./compare.ts";
import type { Context } from "./context.ts";
import { adopt } from "./follow.ts";
import { clockSlack } from "./generations.ts";
import { placesOf } from "./places.ts";
import { holderOf, holds, isProven } from "./same-file.ts";

/** Goes on with a copy of a file whose bytes are out of reach; true if there is one. */
export function recover(context: Context, file: FollowedFile): boolean {
  // A copy may be compressed and removed between finding and opening it.
  for (let tries = 0; tries < 3; tries++) {
    const copy = findCopy(context, file) ?? findCopyElsewhere(context, file);
    if (!copy) return false;
    if (adopt(context, file, copy)) return true;
  }
  return false;
}

function findCopyElsewhere(context: Context, file: FollowedFile): Sibling | null {
  for (const directory of placesOf(context, file.path, file.lastLook)) {
    const copy = findCopy(context, file, directory);
    if (copy) return copy;
  }
  return null;
}

/** Finds a file whose bytes are out of reach among those of a directory, mostly those beside it, by content. */
function findCopy(context: Context, file: FollowedFile, directory = directoryOf(file.path)): Sibling | null {
  const { registry, fs } = context;
  if (file.fingerprint.length === 0) return null;
  const candidates = probe(context, () => siblingsOf(fs, file.path, directory)) ?? [];
  if (file.read === 0) {
    // A common header may be all that agrees: the first generation after the last look is the likeliest.
    const later = candidates
      .filter(({ stat }) => stat.mtime > file.lastLook - clockSlack(context, file.path))
      .reverse();
    candidates.unshift(...later);
  } else {
    // While a copy is being compressed both are there: the compressed one may not be complete yet.
    candidates.sort((a, b) => Number(looksCompressed(a.path)) - Number(looksCompressed(b.path)));
  }
  for (const wanted of ["yes", "maybe"] as const) {
    for (const candidate of candidates) {
      if (isOfAnotherLog(context, file, candidate)) continue;
      const holder = holderOf(context, candidate.path, candidate.stat);
      if (holder && holder !== file && wasSent(context, holder, candidate)) continue;
      const held = holder && holder !== file && !holder.gone && isThere(context, holder, candidate);
      if (held && (file.read === 0 || holder.read < file.read || !holder.settledAll)) continue;
      if (
        file.read === 0 &&
        registry
          .relatives(candidate.path)
          .some(
            (other) => other !== file && isWhole(context, other, candidate) && covers(context, other, candidate.path),
          )
      )
        continue;
      const match = matches(context, file, candidate.path);
      if (match !== wanted || (held && match !== "yes") || (match === "maybe" && !looksCompressed(candidate.path)))
        continue;
      // Taken for a copy of what was read, but not all of that was settled when the process ended.
      if (held) drop(context, holder);
      return candidate;
    }
  }
  return null;
}

/** A new log, whatever its header says, unless it waited for this or was not seen yet; or a generation of a log that is followed beside it. */
function isOfAnotherLog({ registry, judgement }: Context, file: FollowedFile, { path, stat }: Sibling): boolean {
  if (isLogName(path)) {
    const proven = judgement.proves({ equal: file.read, whole: file.read === stat.size });
    const unseen = !registry.byPath.has(path) && isNamedFor(file.path, path) && proven;
    return registry.copies.get(path)?.of !== file && !unseen;
  }
  const log = joinPath(directoryOf(path), strictRootName(path));
  return registry.byPath.has(log) && strictRootName(file.path) !== strictRootName(path);
}

/** May the file have read all that the path holds, and not only a beginning that both share? */
function isWhole(context: Context, file: FollowedFile, { path }: Sibling): boolean {
  const shorter = (content: Content) => content.complete && content.size > file.read;
  return !file.gone || !file.done || !probe(context, () => withContent(context.fs, path, shorter));
}

/** Was all that the path holds read there, under an identity of its own, and acknowledged? */
function wasSent(context: Context, holder: FollowedFile, { path, stat }: Sibling): boolean {
  const whole = holder.gone && holder.done && holder.codec === null && holder.read >= stat.size;
  return whole && isProven(context, holder, path, stat);
}

function isThere(context: Context, holder: FollowedFile, { path, stat }: Sibling): boolean {
  return isProven(context, holder, path, stat) || holds(context, holder, path, stat);
}

function drop(context: Context, file: FollowedFile): void {
  context.descriptors.close(file);
  context.park(file);
  file.gone = true;
  context.registry.forget(file);
}
