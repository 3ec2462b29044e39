/** The state journal, read beside a running agent: nothing is locked, repaired or written. */
import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { readConfigFile } from "../../config/file.ts";
import { LogagentError } from "../../errors.ts";
import { showPath } from "../../path-text.ts";
import { defaultStatePath } from "../../state/default-path.ts";
import { notAFile, readOwnFile } from "../../state/directory.ts";
import { runningOwner } from "../../state/lock.ts";
import { type Replay, replay, stateAt } from "../../state/replay.ts";
import type { FileState } from "../../state/types.ts";
import { nodeFs } from "../../tail/fs/fs.ts";

export interface FileStatus {
  key: string;
  input: string;
  /** As it is named now, where it can be found. */
  path: string;
  /** Bytes acknowledged. */
  position: number;
  /** Null: the file cannot be found any more. */
  size: number | null;
  lag: number | null;
  /** `moved`: renamed or deleted. */
  status: "followed" | "moved" | "done";
  /** ISO time at which the agent last saw the file. */
  seen: string;
}

export interface AgentStatus {
  agent: string;
  /** Of the running agent; null while none runs. */
  pid: number | null;
  state: string;
  /** ISO time of the last write. */
  written: string;
  checkpoint: number;
  files: FileStatus[];
}

/** Flag, else the config file's, else the default. */
export function statePath(flag: string | undefined, configFile: string | undefined): string {
  const configured = configFile === undefined ? undefined : readConfigFile(configFile, process.env).settings.state;
  return flag ?? (typeof configured === "string" ? configured : defaultStatePath());
}

/** Throws LogagentError STATE_IO when there is no journal, STATE_DAMAGED when it cannot be read. */
export async function readStatus(path: string): Promise<AgentStatus> {
  let bytes: Buffer;
  let written: string;
  try {
    bytes = readOwnFile(path);
    written = statSync(path).mtime.toISOString();
  } catch (cause) {
    const error = notAFile(path, cause);
    if (error instanceof LogagentError) throw error;
    throw new LogagentError(
      "STATE_IO",
      `reading the state ${path}: ${(error as Error).message}; name another with --state`,
      error,
    );
  }
  const { header, checkpoints, confirmed, damagedLine } = read(path, bytes);
  const state = confirmed === 0 ? new Map<string, FileState>() : stateAt(checkpoints, confirmed);
  if (header === null || state === null || damagedLine > 0) {
    const where = damagedLine > 0 ? ` at line ${damagedLine}` : "";
    throw new LogagentError("STATE_DAMAGED", `reading the state ${path}: it is damaged${where}`);
  }
  const files = [...state.values()].map(fileStatus);
  files.sort((a, b) => (a.input === b.input ? (a.path < b.path ? -1 : 1) : a.input < b.input ? -1 : 1));
  return {
    agent: header.agent,
    pid: await runningOwner(`${path}.lock`),
    state: path,
    written,
    checkpoint: confirmed,
    files,
  };
}

function read(path: string, bytes: Buffer): Replay {
  try {
    return replay(bytes);
  } catch (error) {
    throw new LogagentError("STATE_DAMAGED", `reading the state ${path}: ${(error as Error).message}`, error);
  }
}

function fileStatus(file: FileState): FileStatus {
  const { key, input, position } = file;
  const found = locate(file);
  const path = found?.path ?? file.path;
  const status = file.done ? "done" : found?.path === file.path ? "followed" : "moved";
  const size = found?.size ?? null;
  const lag = size === null ? null : Math.max(0, size - position);
  return { key, input, path: showPath(path), position, size, lag, status, seen: new Date(file.seen).toISOString() };
}

/** The file under its name, or under another one in the same directory (a rotation). */
function locate(file: FileState): { path: string; size: number } | null {
  const at = (path: string) => {
    const found = nodeFs.stat(path);
    const same = found !== null && String(found.ino) === file.ino && found.dev === file.dev;
    return same ? { path, size: found.size } : null;
  };
  try {
    const own = at(file.path);
    if (own || file.done) return own;
    const directory = dirname(file.path);
    for (const { name } of nodeFs.readdir(directory) ?? []) {
      const moved = at(join(directory, name));
      if (moved) return moved;
    }
  } catch {
    // A directory that is gone or unreadable: the file cannot be found.
  }
  return null;
}
