/** Finds the paths an input's patterns match: a pruned walk of its own, apart from polling. */
import type { DirEntry, Fs, Stat } from "./fs.ts";
import { foundBy, type Glob, hasMagic, matchName, parseGlob, pathMatcher } from "./glob.ts";
import { reach } from "./remote.ts";
import { joinPath } from "./siblings.ts";

/** "file": what it holds will be looked at. */
type Request = { kind: "stat" | "readdir"; path: string } | { kind: "file"; path: string; named: boolean };
type Walk = Generator<Request, void, Stat | DirEntry[] | null | Error>;

export interface Found {
  path: string;
  stat: Stat;
  /** The path was given without magic: FIFOs are read only then. */
  named: boolean;
}

/** One path or glob of an input: walked on its own, so that a server that is away holds up nothing else. */
interface Target {
  /** Null: a path without magic. */
  glob: Glob | null;
  path: string;
  directories: Set<string>;
  /** A walk of it is under way. */
  busy: boolean;
}

/** An entry of a directory, and the segment indexes at which the walk goes on behind it. */
interface Step {
  entry: DirEntry;
  path: string;
  indexes: readonly number[];
}

type Known = (path: string) => boolean;
type Trouble = (path: string, error: unknown) => void;

export class Discovery {
  readonly #fs: Fs;
  readonly #targets: Target[] = [];
  readonly #excluded: (path: string) => boolean;
  readonly #included: (path: string) => boolean;
  /** Files whose server was asked and has not answered. */
  readonly #reaching = new Set<string>();

  constructor(fs: Fs, paths: readonly string[], exclude: readonly string[]) {
    this.#fs = fs;
    this.#excluded = pathMatcher(exclude);
    this.#included = foundBy(paths.filter(hasMagic));
    for (const path of paths) {
      const globs = hasMagic(path) ? parseGlob(path) : [null];
      for (const glob of globs) this.#targets.push({ glob, path, directories: new Set(), busy: false });
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
   * Walks all targets. `known` paths are skipped without a stat, all others are reported: returned at once, or handed to
   * `later`, bit by bit, where a network file system is in the way; `pending` ends with the last of them. What a server
   * does not tell within `patience` is reported alone. `trouble` hears of what could not be read; that is never "gone".
   */
  scan(
    known: Known,
    trouble: Trouble,
    later: (found: Found[]) => void,
    patience: () => Promise<void>,
  ): { found: Found[]; pending: Promise<void>[] } {
    const all: Found[] = [];
    const pending: Promise<void>[] = [];
    for (const target of this.#targets) {
      if (target.busy) continue;
      const found: Found[] = [];
      target.directories = new Set();
      const files = new RemoteFiles(this.#fs, this.#reaching, trouble, (one) => found.push(one));
      const walk = this.#drive(
        this.#walk(target, known, (one) => found.push(one), trouble),
        files,
        undefined,
      );
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

  #drive(walk: Walk, files: RemoteFiles, answer: Stat | DirEntry[] | null | Error | undefined): Promise<void> | null {
    let step = walk.next(answer as Stat);
    while (!step.done) {
      const { kind, path } = step.value;
      let result: Stat | DirEntry[] | null | Error;
      try {
        if (this.#fs.traits(path).network) {
          if (step.value.kind === "file") {
            files.ask(path, step.value.named);
            step = walk.next(null);
            continue;
          }
          const later: Promise<Stat | DirEntry[] | null> =
            kind === "stat" ? this.#fs.statLater(path) : this.#fs.readdirLater(path);
          return later
            .then(
              (value) => this.#drive(walk, files, value),
              (error) => this.#drive(walk, files, asError(error)),
            )
            .then(() => undefined);
        }
        result = kind === "readdir" ? this.#fs.readdir(path) : this.#fs.stat(path);
      } catch (error) {
        result = asError(error);
      }
      step = walk.next(result);
    }
    return null;
  }

  *#walk(
    { glob, path: wanted, directories }: Target,
    known: Known,
    found: (found: Found) => void,
    trouble: Trouble,
  ): Walk {
    const seen = new Set<string>();
    const report = function* (path: string, named: boolean): Walk {
      if (seen.has(path)) return;
      seen.add(path);
      if (known(path)) return;
      const stat = yield { kind: "file", path, named };
      if (stat instanceof Error) trouble(path, stat);
      else if (stat !== null && !Array.isArray(stat) && isLog(stat, named)) found({ path, stat, named });
    };
    if (glob === null) {
      const slash = wanted.lastIndexOf("/");
      directories.add(slash < 0 ? "." : wanted.slice(0, slash) || "/");
      yield* report(wanted, true);
    } else {
      const visited = new Set<string>();
      const stack: { directory: string; index: number }[] = [{ directory: glob.root, index: 0 }];
      for (let next = stack.pop(); next; next = stack.pop()) {
        const { directory, index } = next;
        const deep = glob.segments.includes("**");
        if (deep) {
          const stat = yield { kind: "stat", path: directory };
          if (stat instanceof Error) {
            trouble(directory, stat);
            continue;
          }
          if (stat === null || Array.isArray(stat) || stat.kind !== "directory") continue;
          const key = `${stat.dev}:${stat.ino}:${index}`;
          if (visited.has(key)) continue; // a loop, or a second way to the same directory
          visited.add(key);
        }
        const entries = yield { kind: "readdir", path: directory };
        if (entries instanceof Error) {
          trouble(directory, entries);
          continue;
        }
        if (entries === null || !Array.isArray(entries)) continue;
        directories.add(directory);
        for (const { entry, path, indexes } of this.#unknown(entries, directory, glob, index, known)) {
          for (const step of indexes) {
            if (step === glob.segments.length) {
              if (entry.kind !== "directory" && entry.kind !== "fifo" && !this.#excluded(path))
                yield* report(path, false);
            } else if (entry.kind === "directory" || entry.kind === "link" || entry.kind === "unknown") {
              if (this.#excluded(path)) continue;
              let isDirectory = entry.kind === "directory";
              if (!isDirectory) {
                const stat = yield { kind: "stat", path };
                isDirectory =
                  stat !== null && !(stat instanceof Error) && !Array.isArray(stat) && stat.kind === "directory";
              }
              if (isDirectory) stack.push({ directory: path, index: step });
            }
          }
        }
      }
    }
  }

  /** The entries that take the walk further, by name, without those that end at a known path: mostly that is all of them. */
  #unknown(entries: readonly DirEntry[], directory: string, glob: Glob, index: number, known: Known): Step[] {
    const prefix = joinPath(directory, "");
    const steps: Step[] = [];
    for (const entry of entries) {
      const indexes = matches(glob, index, entry.name);
      if (indexes.length === 0) continue;
      const path = prefix + entry.name;
      if (indexes.length > 1 || indexes[0] !== glob.segments.length || !known(path))
        steps.push({ entry, path, indexes });
    }
    return steps.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }
}

/** Files of one walk that are asked for at once, so that one that hangs holds up no other. */
class RemoteFiles {
  readonly asked: Promise<void>[] = [];
  found: (found: Found) => void;
  readonly #fs: Fs;
  readonly #reaching: Set<string>;
  readonly #trouble: Trouble;

  constructor(fs: Fs, reaching: Set<string>, trouble: Trouble, found: (found: Found) => void) {
    this.#fs = fs;
    this.#reaching = reaching;
    this.#trouble = trouble;
    this.found = found;
  }

  ask(path: string, named: boolean): void {
    if (this.#reaching.has(path)) return;
    this.#reaching.add(path);
    this.asked.push(this.#reach(path, named));
  }

  async #reach(path: string, named: boolean): Promise<void> {
    try {
      const stat = await reach(this.#fs, path);
      if (stat !== null && isLog(stat, named)) this.found({ path, stat, named });
    } catch (error) {
      this.#trouble(path, error);
    } finally {
      this.#reaching.delete(path);
    }
  }
}

function isLog({ kind }: Stat, named: boolean): boolean {
  return kind === "file" || (named && kind === "fifo");
}

const none: readonly number[] = [];

/** The segment indexes at which a walk goes on behind `name`; the number of segments: the name itself is a match. */
function matches(glob: Glob, index: number, name: string): readonly number[] {
  const segment = glob.segments[index]!;
  if (segment !== "**") return matchName(segment, name) ? [index + 1] : none;
  const steps = name.startsWith(".") ? [] : [index];
  if (index + 1 === glob.segments.length) steps.push(index + 1);
  else steps.push(...matches(glob, index + 1, name));
  return [...new Set(steps)];
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
