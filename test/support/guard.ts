/**
 * Nothing outlives the test process, however it ends: a shell holds the read end of a pipe and, once that is closed
 * (also by kill -9 of this process), kills the registered processes and removes the registered directories.
 */
import { type ChildProcess, spawn } from "node:child_process";

const script = `trap '' INT TERM HUP
pids=' ' dirs=
while read -r word value; do
  case $word in
    pid) pids="$pids$value " ;;
    gone) pids="\${pids%%" $value "*} \${pids#*" $value "}" ;;
    dir) dirs="$dirs
$value" ;;
  esac
done
for pid in $pids; do kill -s KILL -- "$pid" 2>/dev/null || kill -9 "$pid" 2>/dev/null; done
printf '%s\\n' "$dirs" | while read -r dir; do
  case $dir in */logagent-*) rm -rf "$dir" || { sleep 1; rm -rf "$dir"; } ;; esac
done`;

let watcher: ChildProcess | undefined;

function tell(line: string): void {
  if (!watcher) {
    watcher = spawn("sh", ["-c", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    watcher.unref();
    (watcher.stdin as unknown as { unref?: () => void }).unref?.();
  }
  watcher.stdin?.write(`${line}\n`);
}

/** The process dies with this one; a negative number means the whole process group. */
export function killAtExit(pid: number): void {
  tell(`pid ${pid}`);
}

/** The process has ended: its number may soon be another's. */
export function hasEnded(pid: number): void {
  tell(`gone ${pid}`);
}

/** The directory (its name must begin with `logagent-`) is removed when this process ends. */
export function removeAtExit(dir: string): void {
  tell(`dir ${dir}`);
}
