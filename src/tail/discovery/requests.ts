/** A walk as a generator that asks for one call of the file system at a time: without waiting where the mount is local. */
import type { DirEntry, Fs, LinkStat, Stat } from "../fs/fs.ts";
import type { LinkRequest } from "../fs/link-rule.ts";
import { inside } from "../fs/rotated-names.ts";
import type { RemoteFiles } from "./network-files.ts";

/** "file": what it holds will be looked at; "stat" and "readdir" concern directories. */
export type Request =
  | { kind: "stat" | "readdir"; path: string }
  | { kind: "file"; path: string; named: boolean }
  | LinkRequest;
export type Answer = Stat | LinkStat | DirEntry[] | string | null | Error;
export type Walk<Result = void> = Generator<Request, Result, Answer>;

const asynchronous = {
  stat: "statLater",
  readdir: "readdirLater",
  lstat: "lstatLater",
  readlink: "readlinkLater",
  realpath: "realpathLater",
} as const;

/** Runs a walk to its end; null: it is there already, for no network file system was in the way. */
export function drive(fs: Fs, walk: Walk, files: RemoteFiles, answer?: Answer): Promise<void> | null {
  let step = walk.next(answer as Answer);
  while (!step.done) {
    const { kind, path } = step.value;
    let result: Answer;
    try {
      const where = kind === "stat" || kind === "readdir" || kind === "realpath" ? inside(path) : path;
      if (fs.traits(where).network) {
        if (step.value.kind === "file") {
          files.ask(path, step.value.named);
          step = walk.next(null);
          continue;
        }
        const later: Promise<Answer> = fs[asynchronous[step.value.kind]](where);
        return later
          .then(
            (value) => drive(fs, walk, files, value),
            (error) => drive(fs, walk, files, asError(error)),
          )
          .then(() => undefined);
      }
      result = fs[kind === "file" ? "stat" : kind](path);
    } catch (error) {
      result = asError(error);
    }
    step = walk.next(result);
  }
  return null;
}

export function isStat(answer: Answer): answer is Stat {
  return answer !== null && typeof answer === "object" && "mtime" in answer && answer.kind !== "link";
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
