/** Finds the paths an input's patterns match: a pruned walk of its own, apart from polling. */

import type { DirEntry, Fs } from "../fs/fs.ts";
import type { LinkAnswer, LinkRule, Trace } from "../fs/link-rule.ts";
import { inside, joinPath } from "../fs/rotated-names.ts";
import { type Found, isLog } from "./found.ts";
import { foundBy, type Glob, matchName, parseGlob, pathMatcher } from "./glob.ts";
import { RemoteFiles, type Trouble } from "./network-files.ts";
import { linkRule, splitPaths } from "./paths.ts";
import { drive, isStat, type Walk } from "./requests.ts";
import { type Moment, QuietDirectories } from "./unchanged-directories.ts";

/** One path or glob of an input: walked on its own, so that a server that is away holds up nothing else. */
interface Target {
  /** Null: a path without magic. */
  glob: Glob | null;
  path: string;
  directories: Set<string>;
  readonly quiet: QuietDirectories;
  /** A walk of it is under way. */
  busy: boolean;
}

/** A directory to be listed, and the segment its entries are matched with. */
interface Place {
  directory: string;
  index: number;
  /** The same directory without links. */
  real: string;
  /** It is a link, and may be followed. */
  linked: boolean;
}

/** An entry of a directory, and the segment indexes at which the walk goes on behind it. */
interface Step {
  entry: DirEntry;
  path: string;
  indexes: readonly number[];
}

/** What a walk is told. */
export interface Errand extends Moment {
  /** Paths that need no stat and are not reported. */
  known: (path: string) => boolean;
  /** Hears of what could not be read; that is never "gone". */
  trouble: Trouble;
  /** Is it a link that was refused a short while ago? */
  rests: (path: string) => boolean;
  /** Hears of what is not followed because of where it leads. */
  refused: (path: string, reason: string) => void;
}

export class Discovery {
  readonly #fs: Fs;
  readonly #rule: LinkRule;
  readonly #targets: Target[] = [];
  readonly #excluded: (path: string) => boolean;
  readonly #included: (path: string) => boolean;
  /** Files whose server was asked and has not answered. */
  readonly #reaching = new Set<string>();

  constructor(fs: Fs, paths: readonly string[], exclude: readonly string[], rule = linkRule(fs, paths)) {
    this.#fs = fs;
    this.#rule = rule;
    this.#excluded = pathMatcher(exclude);
    const split = splitPaths(fs, paths);
    const named = new Set(split.named);
    this.#included = foundBy(split.patterns);
    for (const path of paths) {
      const globs = named.has(path) ? [null] : parseGlob(path);
      for (const glob of globs) {
        const quiet = new QuietDirectories();
        this.#targets.push({ glob, path, directories: new Set(), quiet, busy: false });
      }
    }
  }

  /** Directories looked into by the last walks, for watching. */
  get directories(): Set<string> {
    return new Set(this.#targets.flatMap(({ directories }) => [...directories]));
  }

  /** Would a scan report this path? */
  matches(path: string): boolean {
    return this.named(path) || (this.#included(path) && !this.#excluded(path));
  }

  /** Is it one of the paths without magic? */
  named(path: string): boolean {
    return this.#targets.some((target) => target.glob === null && target.path === path);
  }

  /** Could something that happened to this name bring a new file? (A directory may have appeared below a glob.) */
  concerns(path: string): boolean {
    return this.#targets.some(({ glob }) => glob !== null && glob.segments.length > 1) || this.matches(path);
  }

  /**
   * Walks all targets. What is not known is reported: returned at once, or handed to `later`, bit by bit, where a network
   * file system is in the way; `pending` ends with the last of them. What a server does not tell within `patience` is
   * reported alone.
   */
  scan(
    errand: Errand,
    later: (found: Found[]) => void,
    patience: () => Promise<void>,
  ): { found: Found[]; pending: Promise<void>[] } {
    const all: Found[] = [];
    const pending: Promise<void>[] = [];
    for (const target of this.#targets) {
      if (target.busy) continue;
      const found: Found[] = [];
      target.directories = new Set();
      target.quiet.begin();
      const report = (one: Found) => found.push(one);
      const files = new RemoteFiles(this.#fs, this.#reaching, errand.trouble, report);
      const walk = drive(this.#fs, this.#walk(target, errand, report), files);
      if (walk === null && files.asked.length === 0) all.push(...found);
      else {
        target.busy = walk !== null;
        pending.push(this.#finish(target, walk, files, found, later, patience));
      }
    }
    return { found: all, pending };
  }

  async #finish(
    target: Target,
    walk: Promise<void> | null,
    files: RemoteFiles,
    found: Found[],
    later: (found: Found[]) => void,
    patience: () => Promise<void>,
  ): Promise<void> {
    await walk;
    target.busy = false;
    const all = Promise.all(files.asked);
    await Promise.race([all, patience()]);
    later(found.splice(0));
    files.found = (one) => later([one]);
    await all;
  }

  *#walk(target: Target, errand: Errand, found: (found: Found) => void): Walk {
    const { glob, path: wanted, directories } = target;
    const seen = new Set<string>();
    const report = function* (path: string, named: boolean): Walk {
      if (seen.has(path)) return;
      seen.add(path);
      if (errand.known(path)) return;
      const stat = yield { kind: "file", path, named };
      if (stat instanceof Error) errand.trouble(path, stat);
      else if (isStat(stat) && isLog(stat, named)) found({ path, stat, named });
    };
    if (glob === null) {
      const slash = wanted.lastIndexOf("/");
      directories.add(slash < 0 ? "." : wanted.slice(0, slash) || "/");
      yield* report(wanted, true);
    } else {
      const real = yield { kind: "realpath", path: glob.root };
      if (real instanceof Error) errand.trouble(glob.root, real);
      if (typeof real !== "string") return;
      const visited = new Set<string>();
      const stack: Place[] = [{ directory: glob.root, index: 0, real, linked: true }];
      for (let next = stack.pop(); next; next = stack.pop()) {
        const steps = yield* this.#list(target, glob, next, visited, errand);
        for (const step of steps) {
          const { path, indexes } = step;
          const ends = indexes.includes(glob.segments.length) && this.#isNew(step.entry, path, errand);
          const goesOn = mayBeDirectory(step.entry) && !this.#excluded(path);
          const further = goesOn ? indexes.filter((index) => index !== glob.segments.length) : none;
          if (!ends && further.length === 0) continue;
          const real = yield* this.#follow(step, next, further.length > 0, errand);
          if (real === null) continue;
          if (ends) yield* report(path, false);
          if (real.directory)
            for (const index of further) stack.push({ directory: path, index, real: real.path, linked: real.linked });
        }
      }
    }
  }

  /** Where an entry really is; null: it is not followed. `directory` is told only where it is asked for. */
  *#follow(
    { entry, path }: Step,
    { real }: Place,
    wanted: boolean,
    errand: Errand,
  ): Walk<{ path: string; directory: boolean; linked: boolean } | null> {
    if (entry.kind !== "link" && entry.kind !== "unknown") {
      const there = inside(real) + entry.name;
      const refusal = this.#rule.isNamed(path) ? null : this.#rule.forbidden(path, there);
      if (refusal !== null) errand.refused(path, refusal);
      return refusal === null ? { path: there, directory: entry.kind === "directory", linked: false } : null;
    }
    const trace = yield* this.#trace(path);
    const stat = trace === null || trace instanceof Error ? trace : yield { kind: "stat", path: trace.real };
    if (stat instanceof Error) errand.trouble(path, stat);
    if (trace === null || trace instanceof Error || !isStat(stat)) return null;
    if (stat.kind === "file" || (stat.kind === "directory" && wanted)) {
      const refusal = this.#rule.refusal(path, trace, stat);
      if (refusal !== null) errand.refused(path, refusal);
      if (refusal !== null) return null;
    }
    return { path: trace.real, directory: stat.kind === "directory", linked: trace.links.length > 0 };
  }

  *#trace(path: string): Walk<Trace | null | Error> {
    const steps = this.#rule.trace(path);
    for (let step = steps.next(); ; ) {
      if (step.done) return step.value;
      const answer = yield step.value;
      if (answer instanceof Error) return answer;
      step = steps.next(answer as LinkAnswer);
    }
  }

  /** What is new in a directory; none where that cannot be told, or nothing changed. */
  *#list(
    { directories, quiet }: Target,
    glob: Glob,
    { directory, index, linked }: Place,
    visited: Set<string>,
    errand: Errand,
  ): Walk<Step[]> {
    // What was a directory a moment ago may have become a link.
    const stat = yield { kind: linked ? "stat" : "lstat", path: directory };
    if (stat instanceof Error) errand.trouble(directory, stat);
    if (!isStat(stat) || stat.kind !== "directory") return [];
    if (glob.segments.includes("**")) {
      const itself = `${stat.dev}:${stat.ino}:${index}`;
      if (visited.has(itself)) return []; // a loop, or a second way to the same directory
      visited.add(itself);
    }
    directories.add(directory);
    const key = `${index} ${directory}`;
    const { stable } = this.#fs.traits(inside(directory));
    if (stable && quiet.has(key, stat, errand)) return [];
    const entries = yield { kind: "readdir", path: directory };
    if (entries instanceof Error) errand.trouble(directory, entries);
    if (!Array.isArray(entries)) return [];
    const steps = this.#unknown(entries, directory, glob, index, errand);
    // Whether a link may be followed can change without the directory.
    const resting = entries.some(({ name, kind }) => kind === "link" && errand.rests(joinPath(directory, name)));
    if (stable && steps.length === 0 && !resting) quiet.add(key, stat, errand);
    return steps;
  }

  /** The entries that take the walk further, by name; mostly all of them end at known paths and there are none. */
  #unknown(entries: readonly DirEntry[], directory: string, glob: Glob, index: number, errand: Errand): Step[] {
    const prefix = joinPath(directory, "");
    const steps: Step[] = [];
    for (const entry of entries) {
      const indexes = matches(glob, index, entry.name);
      if (indexes.length === 0) continue;
      const path = prefix + entry.name;
      if (entry.kind === "link" && errand.rests(path)) continue;
      const isLast = indexes.length === 1 && indexes[0] === glob.segments.length;
      if (!isLast || this.#isNew(entry, path, errand)) steps.push({ entry, path, indexes });
    }
    return steps.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  #isNew({ kind }: DirEntry, path: string, { known }: Errand): boolean {
    return kind !== "directory" && kind !== "fifo" && !known(path) && !this.#excluded(path);
  }
}

const none: readonly number[] = [];

function mayBeDirectory({ kind }: DirEntry): boolean {
  return kind === "directory" || kind === "link" || kind === "unknown";
}

/** The segment indexes at which a walk goes on behind `name`; the number of segments: the name itself is a match. */
function matches(glob: Glob, index: number, name: string): readonly number[] {
  const segment = glob.segments[index]!;
  if (segment !== "**") return matchName(segment, name) ? [index + 1] : none;
  const hidden = name.startsWith(".");
  const steps = hidden ? [] : [index];
  if (index + 1 === glob.segments.length) steps.push(...(hidden ? none : [index + 1]));
  else steps.push(...matches(glob, index + 1, name));
  return [...new Set(steps)];
}
