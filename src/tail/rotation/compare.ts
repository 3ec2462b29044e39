/** Compares what a path holds with what is known of followed files and of files that are gone. */

import type { FollowedFile } from "../files/file.ts";
import { isLogName, isNamedFor, rootName } from "../fs/rotated-names.ts";
import { type Content, contentOf, type Match, withContent } from "../identity/fingerprint.ts";
import { isForeign } from "../source/decoder.ts";
import { PlainSource } from "../source/source.ts";
import type { Context } from "./context.ts";
import { resembling } from "./resemblance.ts";

/** Bytes at each end of a copy that are compared with its original. */
const comparedBytes = 65_536;

/** Compares what a path holds with what is known of a file. */
export function matches(context: Context, file: FollowedFile, path: string): Match {
  const { fs, judgement } = context;
  return (
    probe(context, () =>
      withContent(fs, path, (content) =>
        judgement.match(content, {
          fingerprint: file.fingerprint,
          marker: file.readMarker ?? file.unreadMarker,
          position: file.read,
          sample: file.sample,
          marks: file.marks.list,
        }),
      ),
    ) ?? "no"
  );
}

/** Does the path hold nothing but the beginning of a followed file? (A copy, perhaps still being made.) */
export function isPrefix(context: Context, file: FollowedFile, path: string): boolean {
  const { fs } = context;
  // Copies are made under rotated names; a new log may begin with the same header as the old one.
  if (isLogName(path)) return false;
  const compare = (own: Content) => withContent(fs, path, (content) => isPrefixOf(content, own));
  return (
    probe(context, () => {
      if (file.source instanceof PlainSource) return compare(contentOf(fs, file.source.fd, ""));
      return file.attached ? withContent(fs, file.path, compare) : false;
    }) ?? false
  );
}

/** Does the path hold the beginning of a followed file, and enough of it to prove that? */
export function isProvenPrefix(context: Context, file: FollowedFile, path: string): boolean {
  const { fs, judgement } = context;
  const compare = (own: Content) =>
    withContent(
      fs,
      path,
      (content) =>
        judgement.proves({ equal: content.size, whole: content.complete && content.size === own.size }) &&
        isPrefixOf(content, own),
    );
  return (
    probe(context, () => {
      if (file.source instanceof PlainSource) return compare(contentOf(fs, file.source.fd, ""));
      return file.attached ? withContent(fs, file.path, compare) : false;
    }) ?? false
  );
}

/** Does the path hold all that an open file holds, and perhaps more behind it? */
export function isAllIn(context: Context, source: PlainSource, path: string): boolean {
  const own = contentOf(context.fs, source.fd, "");
  return probe(context, () => withContent(context.fs, path, (content) => isPrefixOf(own, content))) ?? false;
}

/** Is all that the path holds known to be read, or going to be, from another file? */
export function covers(context: Context, file: FollowedFile, path: string): boolean {
  if (file.fingerprint.length === 0 || file.fifo) return false;
  // Before anything was read a common header would be all that could agree. What goes on in a compressed copy has no bytes
  // to compare at hand, only the marks of what was read.
  if (file.gone || (file.codec !== null && file.read > 0))
    return file.read > 0 && ["yes", "prefix"].includes(matches(context, file, path));
  if (file.codec !== null) return !context.fs.traits(path).stable && holdsSame(context, file, path);
  return isPrefix(context, file, path);
}

/** Is all that was seen of a compressed file of which nothing was read all that the path holds? */
function holdsSame(context: Context, file: FollowedFile, path: string): boolean {
  if (matches(context, file, path) !== "yes") return false;
  const { sample, fingerprint } = file;
  const size = (content: Content) => content.complete && content.size === fingerprint.length;
  return sample !== null || (probe(context, () => withContent(context.fs, path, size)) ?? false);
}

/** Times a path is compared again because a relative changed meanwhile. */
const mostTries = 5;

/**
 * Is the content at `path` that of no followed file? `known` compares; what was truncated or renamed while it compared is
 * looked at and compared again, or a copy would be taken for a new file whose original was truncated at that moment.
 */
export function isUnknown(context: Context, path: string, known: () => boolean): boolean {
  const { registry } = context;
  lookAtRelatives(context, path);
  for (let tries = 0; tries < mostTries; tries++) {
    if (registry.byPath.has(path)) return false;
    const before = registry.changes;
    if (known()) return false;
    lookAtRelatives(context, path);
    if (registry.changes === before) break;
  }
  return !registry.byPath.has(path);
}

/** They may have been truncated or renamed since the last look. */
function lookAtRelatives(context: Context, path: string): void {
  const { registry, fs } = context;
  // What is renamed there keeps its inode, and only of the log it is named for it may be a copy.
  const { stable } = fs.traits(path);
  const alone = isLogName(path) && stable;
  const root = rootName(path);
  const related = registry.relatives(path);
  const near = alone ? related.filter((file) => file.path !== path && isNamedFor(file.path, path, root)) : related;
  const files = alone ? [...new Set([...registry.generations(path), ...near])] : near;
  for (const file of resembling(fs, path, files)) if (file.attached && !(stable && file.complete)) context.look(file);
}

/** Null, and an event, where the system refuses. */
export function probe<T>(context: Context, f: () => T): T | null {
  try {
    return f();
  } catch (error) {
    context.event("debug", "file-unreadable", "cannot look at a file", { cause: error });
    return null;
  }
}

/** Does what can be seen of `content` agree with the beginning of `own`? Of large ones the first and the last block are compared. */
function isPrefixOf(content: Content, own: Content): boolean {
  if (isForeign(content.codec)) return false;
  if (content.size > own.size) return false;
  // Of what cannot be decoded, or not yet, nothing is known.
  if (content.size === 0 && !content.complete) return false;
  const first = Math.min(content.size, comparedBytes);
  const last = Math.max(0, content.size - comparedBytes);
  const same = (from: number, length: number) => own.read(from, length).equals(content.read(from, length));
  return same(0, first) && same(last, content.size - last);
}
