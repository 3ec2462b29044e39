/** Finds the paths an input's patterns match: a pruned walk of its own, apart from polling. */
import type { DirEntry, Fs, Stat } from "./fs.ts";
import { foundBy, type Glob, hasMagic, matchName, parseGlob, pathMatcher } from "./glob.ts";

type Request = { kind: "stat"; path: string } | { kind: "readdir"; path: string };
type Walk = Generator<Request, void, Stat | DirEntry[] | null | Error>;

export interface Found {
  path: string;
  stat: Stat;
  /** The path was given without magic: FIFOs are read only then. */
  named: boolean;
}

export class Discovery {
  /** Directories looked into by the last scan, for watching. */
  directories = new Set<string>();
  readonly #fs: Fs;
  readonly #literal: string[] = [];
  readonly #globs: Glob[] = [];
  readonly #excluded: (path: string) => boolean;
  readonly #included: (path: string) => boolean;

  constructor(fs: Fs, paths: readonly string[], exclude: readonly string[]) {
    this.#fs = fs;
    this.#excluded = pathMatcher(exclude);
    this.#included = foundBy(paths.filter(hasMagic));
    for (const path of paths) {
      if (hasMagic(path)) this.#globs.push(...parseGlob(path));
      else this.#literal.push(path);
    }
  }

  /** Would a scan report this path? */
  matches(path: string): boolean {
    return this.#literal.includes(path) || (this.#included(path) && !this.#excluded(path));
  }

  /** Is it one of the paths without magic? */
  named(path: string): boolean {
    return this.#literal.includes(path);
  }

  /** Could something that happened to this name bring a new file? (A directory may have appeared below a glob.) */
  concerns(path: string): boolean {
    return this.#globs.some((glob) => glob.segments.length > 1) || this.matches(path);
  }

  /**
   * One walk. `known` paths are skipped without a stat, all others are reported. Runs to its end before it returns
   * unless a network file system is in the way. `trouble` hears of what could not be read; that is never "gone".
   */
  scan(
    known: (path: string) => boolean,
    found: (found: Found) => void,
    trouble: (path: string, error: unknown) => void,
  ): Promise<void> | null {
    this.directories = new Set();
    return this.#drive(this.#walk(known, found, trouble), undefined);
  }

  #drive(walk: Walk, answer: Stat | DirEntry[] | null | Error | undefined): Promise<void> | null {
    let step = walk.next(answer as Stat);
    while (!step.done) {
      const { kind, path } = step.value;
      let result: Stat | DirEntry[] | null | Error;
      try {
        if (this.#fs.traits(path).network) {
          const later: Promise<Stat | DirEntry[] | null> =
            kind === "stat" ? this.#fs.statLater(path) : this.#fs.readdirLater(path);
          return later
            .then(
              (value) => this.#drive(walk, value),
              (error) => this.#drive(walk, asError(error)),
            )
            .then(() => undefined);
        }
        result = kind === "stat" ? this.#fs.stat(path) : this.#fs.readdir(path);
      } catch (error) {
        result = asError(error);
      }
      step = walk.next(result);
    }
    return null;
  }

  *#walk(
    known: (path: string) => boolean,
    found: (found: Found) => void,
    trouble: (path: string, error: unknown) => void,
  ): Walk {
    const seen = new Set<string>();
    const report = function* (path: string, named: boolean): Walk {
      if (seen.has(path)) return;
      seen.add(path);
      if (known(path)) return;
      const stat = yield { kind: "stat", path };
      if (stat instanceof Error) trouble(path, stat);
      else if (stat !== null && !Array.isArray(stat)) {
        if (stat.kind === "file" || (named && stat.kind === "fifo")) found({ path, stat, named });
      }
    };
    for (const path of this.#literal) {
      const slash = path.lastIndexOf("/");
      this.directories.add(slash < 0 ? "." : path.slice(0, slash) || "/");
      yield* report(path, true);
    }
    for (const glob of this.#globs) {
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
        this.directories.add(directory);
        entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
        for (const entry of entries) {
          const path =
            directory === "."
              ? entry.name
              : directory.endsWith("/")
                ? directory + entry.name
                : `${directory}/${entry.name}`;
          for (const step of matches(glob, index, entry.name)) {
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
}

/** The segment indexes at which a walk goes on behind `name`; the number of segments: the name itself is a match. */
function matches(glob: Glob, index: number, name: string): number[] {
  const segment = glob.segments[index]!;
  if (segment !== "**") return matchName(segment, name) ? [index + 1] : [];
  const steps = name.startsWith(".") ? [] : [index];
  if (index + 1 === glob.segments.length) steps.push(index + 1);
  else steps.push(...matches(glob, index + 1, name));
  return [...new Set(steps)];
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
