import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Path of the state journal when none is given: `state.jsonl` in `$STATE_DIRECTORY` (systemd; the first of
 * several), else `/var/lib/logagent` as root, else `$XDG_STATE_HOME/logagent`, else `~/.local/state/logagent`.
 */
export function defaultStatePath(
  env: Record<string, string | undefined> = process.env,
  uid = process.getuid?.(),
): string {
  return join(defaultStateDirectory(env, uid), "state.jsonl");
}

function defaultStateDirectory(env: Record<string, string | undefined>, uid: number | undefined): string {
  const systemd = env.STATE_DIRECTORY?.split(":")[0];
  if (systemd) return systemd;
  if (uid === 0) return "/var/lib/logagent";
  if (env.XDG_STATE_HOME) return join(env.XDG_STATE_HOME, "logagent");
  return join(env.HOME || homedir(), ".local", "state", "logagent");
}
