import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import { directoryProblem } from "./directory.ts";

/** Why this process could not keep its state journal at `path`, as far as that shows without writing; null: nothing. */
export function statePathProblem(path: string): string | null {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return `${path} is a directory; the state is a file, for example ${path}/state.jsonl`;
  }
  let directory = dirname(path);
  // The directory is made when it is missing: the nearest that exists decides.
  while (statOrNull(directory) === null && dirname(directory) !== directory) directory = dirname(directory);
  const stat = statOrNull(directory);
  if (stat !== null && !stat.isDirectory()) return `${directory} is no directory, so ${path} cannot be made below it`;
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    // Whose it is does not count here: the agent may run as another user than this check.
    const exists = stat !== null && directory === dirname(path) && process.platform !== "win32";
    return exists ? directoryProblem(directory, stat, stat.uid) : null;
  } catch (error) {
    return `the directory ${directory} cannot be written to: ${(error as Error).message}`;
  }
}

function statOrNull(path: string) {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}
