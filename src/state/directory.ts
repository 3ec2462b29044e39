/**
 * The state belongs to one user. Who may write its directory may plant names there that the agent, perhaps as root, would
 * write through or remove; such a directory is refused before anything in it is read.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync, type Stats, statSync } from "node:fs";
import { LogagentError } from "../errors.ts";

type Owned = Pick<Stats, "uid" | "gid" | "mode">;

/** For reading what should be a file of ours: a link is not followed, a FIFO does not wait. Zero where there is no such flag. */
export const READ_OWN = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Makes the directory (mode 0700) where it is missing. Throws LogagentError STATE_IO with the command that mends it when it
 * belongs to somebody else or others may write it. Its parents are not judged: `/tmp` holds many a safe directory.
 */
export function prepareDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const uid = process.geteuid?.();
  const problem = uid === undefined ? null : directoryProblem(directory, statSync(directory), uid);
  if (problem !== null) throw new LogagentError("STATE_IO", problem);
}

/** Why a directory is not for the state of user `uid`, with the command that mends it; null when it is. */
export function directoryProblem(directory: string, stat: Owned, uid: number): string | null {
  const reason = weakness(stat, uid);
  if (reason === null) return null;
  const shared = (stat.mode & 0o1000) !== 0 || (stat.uid !== uid && uid !== 0);
  const own = `${directory}/logagent`;
  const mend = shared
    ? `give the state a directory of its own: mkdir -m 700 ${quote(own)}, and --state ${quote(`${own}/state.jsonl`)}`
    : `mend it: ${stat.uid === uid ? "" : `chown ${uid} ${quote(directory)} && `}chmod go-w ${quote(directory)}`;
  return `using the state's directory ${directory} is not safe: ${reason}; ${mend}`;
}

/** Throws LogagentError STATE_IO when the open journal is not a file of this user's alone. */
export function checkOwnFile(path: string, stat: Owned & Pick<Stats, "isFile">): void {
  if (!stat.isFile()) throw new LogagentError("STATE_IO", `reading the state ${path} failed: it is not a regular file`);
  const uid = process.geteuid?.();
  const reason = uid === undefined ? null : weakness(stat, uid);
  if (reason === null) return;
  throw new LogagentError(
    "STATE_IO",
    `using the state ${path} is not safe: ${reason}; mend it: chown ${uid} ${quote(path)} && chmod 600 ${quote(path)}`,
  );
}

/** The error of opening it, in words where the name is a link. */
export function notAFile(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ELOOP" && code !== "EMLINK") return error;
  return new LogagentError(
    "STATE_IO",
    `reading the state ${path} failed: it is a symbolic link; name the file itself with --state`,
    error,
  );
}

/** The bytes of a regular file; throws for everything else, a link included, and never waits. */
export function readOwnFile(path: string): Buffer {
  const fd = openSync(path, READ_OWN);
  try {
    if (!fstatSync(fd).isFile()) throw Object.assign(new Error(`${path} is not a regular file`), { code: "EINVAL" });
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Why others could change it; null when only this user and root can. A group of the owner's own, which has his number
 * where systems make one for each user, is himself.
 */
function weakness(stat: Owned, uid: number): string | null {
  if (stat.uid !== uid && stat.uid !== 0) return `it belongs to user ${stat.uid}, the agent runs as ${uid}`;
  if ((stat.mode & 0o002) !== 0) return `everybody may write it (mode ${(stat.mode & 0o7777).toString(8)})`;
  if ((stat.mode & 0o020) !== 0 && stat.gid !== stat.uid) {
    return `group ${stat.gid} may write it (mode ${(stat.mode & 0o7777).toString(8)})`;
  }
  return null;
}

function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
