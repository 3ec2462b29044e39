import { type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock } from "../runtime.ts";

/** How often the file is looked at, and how long it must have been quiet, in milliseconds. */
const pollInterval = 1000;
const quiet = 200;

/**
 * Calls `onChange` when the file has changed and then stayed the same for a moment, so that a file an editor is still
 * writing is not read. Polling finds every change; file-system events only make it faster. Returns what ends it.
 */
export function watchConfigFile(path: string, clock: Clock, onChange: () => void): () => void {
  let handled = look(path);
  let last = handled;
  let cancel = () => {};
  let closed = false;

  const check = () => {
    cancel();
    if (closed) return;
    const now = look(path);
    const changing = now !== last;
    last = now;
    if (!changing && now !== handled) {
      handled = now;
      if (now !== "") onChange();
    }
    cancel = clock.after(now === handled ? pollInterval : quiet, check);
  };
  cancel = clock.after(pollInterval, check);

  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(dirname(path), (_, name) => {
      if (name === null || name === basename(path)) check();
    });
    watcher.on("error", () => watcher?.close());
  } catch {
    // Without events the poll finds it a little later.
  }
  return () => {
    closed = true;
    cancel();
    watcher?.close();
  };
}

function look(path: string): string {
  try {
    const stat = statSync(path, { bigint: true });
    return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs}`;
  } catch {
    return "";
  }
}
