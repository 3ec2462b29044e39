/** Begins to follow what a path holds, or goes on with a file there. */

import type { FollowedFile } from "../files/file.ts";
import { reasonOf } from "../files/troubles.ts";
import { isScarce, type Stat } from "../fs/fs.ts";
import { LinkRefused } from "../fs/link-rule.ts";
import type { Sibling } from "../fs/rotated-names.ts";
import { type Content, contentOf, headOf, sampleOf, withContent } from "../identity/fingerprint.ts";
import { markerBytes } from "../identity/identity.ts";
import { FifoSource } from "../source/fifo.ts";
import { PlainSource } from "../source/source.ts";
import { probe } from "./compare.ts";
import type { Context } from "./context.ts";
import { startPosition } from "./start-position.ts";

/** Begins to follow a file nobody knows. */
export function follow(
  context: Context,
  path: string,
  {
    after,
    attached,
    from,
    consumed = false,
    position: known = 0,
  }: { after: FollowedFile | null; attached: boolean; from: boolean; consumed?: boolean; position?: number },
): FollowedFile | null {
  const { registry, fs, options, descriptors } = context;
  let fd: number | null = null;
  try {
    fd = fs.open(path);
    if (fd === null) return null;
    const stat = fs.fstat(fd);
    if (stat.kind !== "file") return null; // it was exchanged since it was found
    const content = contentOf(fs, fd, path);
    const position = consumed
      ? content.size
      : from && content.codec === null
        ? startPosition(content, stat.size, options)
        : Math.min(known, content.size);
    const file = context.newFile(path, stat, position);
    file.attached = attached;
    file.growHead(headOf(content), 0);
    if (position === 0) file.sample = sampleOf(content);
    const tailFrom = Math.max(0, position - markerBytes);
    file.setTail(content.read(tailFrom, position - tailFrom));
    file.pending.settled = {
      position,
      line: 1,
      marker: position > 0 ? { bytes: file.tailBytes(), to: position } : null,
    };
    file.after = after;
    file.codec = content.codec;
    file.complete = content.codec !== null && (consumed || (from && options.from === "end"));
    file.done = file.complete;
    file.size = content.size;
    file.mtime = stat.mtime;
    file.links = stat.links;
    file.lastLook = context.clock.now();
    registry.add(file);
    context.troubles.over(path);
    if (content.codec === null && (!attached || descriptors.makeRoom())) {
      descriptors.keep(file, fd);
      fd = null;
    } else if (!attached) descriptors.open(file);
    context.event("info", "file-found", `following ${path} from ${position}`, { path, file: file.id });
    context.schedule(file, options.pollMin);
    if (!file.complete) context.enqueue(file);
    return file;
  } catch (error) {
    const scarce = isScarce(error);
    if (scarce) {
      descriptors.full();
      context.discoverSoon();
    }
    if (scarce) context.event("debug", "file-unreadable", `cannot open ${path}`, { path, cause: error });
    else unreadable(context, "cannot open", path, error);
    return null;
  } finally {
    if (fd !== null) fs.close(fd);
  }
}

/** Says once what cannot be read, or is not to be. */
export function unreadable(context: Context, what: string, path: string, error: unknown): void {
  const refused = error instanceof LinkRefused;
  const event = refused ? { name: "link-refused", what: "not following" } : { name: "file-unreadable", what };
  const reason = reasonOf(error);
  context.troubles.met({ ...event, path, reason, more: { cause: error } }, context.clock.monotonic());
}

/** Begins to read a FIFO; false where it cannot be opened. */
export function followFifo(context: Context, path: string, stat: Stat): boolean {
  const { registry, fs, descriptors } = context;
  const fd = probe(context, () => fs.open(path));
  if (fd === null || fd === undefined) return false;
  const opened = probe(context, () => fs.fstat(fd));
  if (opened?.kind !== "fifo" || opened.dev !== stat.dev || opened.ino !== stat.ino) {
    fs.close(fd); // it was exchanged since it was found
    return false;
  }
  const file = context.newFile(path, stat, 0);
  file.fifo = true;
  registry.add(file);
  descriptors.keepSource(file, new FifoSource(fs, fd));
  context.event("info", "file-found", `reading the FIFO ${path}`, { path, file: file.id });
  context.schedule(file, context.options.pollMin);
  return true;
}

/** Goes on with a file where its content was found: a copy, a compressed successor, another inode. */
export function adopt(context: Context, file: FollowedFile, { path, stat }: Sibling): boolean {
  const { registry, descriptors, discovery, fs } = context;
  descriptors.close(file);
  file.expect = file.readMarker;
  file.headUnproven = file.fingerprint.length > 0;
  registry.dropCopy(path);
  registry.identify(file, stat);
  if (discovery.matches(path)) registry.attach(file, path);
  else {
    registry.detach(file);
    registry.move(file, path);
    file.replaced = true;
  }
  let longer = false;
  file.codec = probe(context, () =>
    withContent(fs, path, (content) => {
      longer = content.complete && content.size > file.read;
      if (file.read === 0 && content.size > file.fingerprint.length) file.restoreHead(headOf(content));
      if (file.read === 0) file.sample = sampleOf(content);
      return content.codec;
    }),
  );
  file.gone = false;
  file.complete = file.done && file.codec !== null && !longer;
  file.done = file.complete;
  file.final = false;
  file.drained = false;
  file.links = stat.links;
  file.lastData = context.clock.monotonic();
  file.mtime = stat.mtime;
  if (file.codec === null) file.size = stat.size;
  context.event("info", "file-found-again", `going on with the content of ${path} at ${file.read}`, {
    path,
    file: file.id,
  });
  if (!file.complete) {
    const opened = file.attached ? "open" : probe(context, () => descriptors.open(file));
    if (opened !== "open" && opened !== "later") return false;
    context.enqueue(file);
  }
  context.schedule(file, context.options.pollMin);
  return true;
}

/** Goes on with a file that a predecessor held open, and that no name leads to any more. */
export function hold(context: Context, file: FollowedFile, fd: number): void {
  const { registry, descriptors, fs } = context;
  const stat = fs.fstat(fd);
  descriptors.keep(file, fd);
  registry.detach(file);
  file.replaced = true;
  file.gone = false;
  file.done = false;
  file.size = stat.size;
  file.mtime = stat.mtime;
  file.links = stat.links;
  file.lastData = context.clock.monotonic();
  if (file.read === 0) {
    const content = contentOf(fs, fd, "");
    if (content.size > file.fingerprint.length) file.restoreHead(headOf(content));
    file.sample = sampleOf(content);
  }
  context.enqueue(file);
  context.schedule(file, context.options.pollMin);
}

/** Remembers how the content of a file begins and ends of which nothing was read yet. */
export function sample(context: Context, file: FollowedFile): void {
  const { fs } = context;
  if (file.read > 0) return;
  const take = (content: Content) => {
    file.growHead(headOf(content), 0);
    file.sample = sampleOf(content);
  };
  if (file.source instanceof PlainSource) take(contentOf(fs, file.source.fd, ""));
  else if (file.attached) probe(context, () => withContent(fs, file.path, take));
}
