import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** A hash of the machine's id (never the id itself, as machine-id(5) asks for); null where there is none. */
export function machineHash(): string | null {
  const id = readText("/etc/machine-id") ?? readText("/var/lib/dbus/machine-id");
  return id === null ? null : createHash("sha256").update(`logagent ${id}`).digest("hex").slice(0, 16);
}

/** Changes with every boot of the machine; null where the system does not say. */
export function bootId(): string | null {
  return readText("/proc/sys/kernel/random/boot_id");
}

/** When the process started, in a unit of the system's own (Linux: field 22 of /proc/PID/stat); null when unknown. */
export function processStart(pid: number): string | null {
  const stat = readText(`/proc/${pid}/stat`);
  // The command's name is in brackets and may hold blanks and brackets itself.
  return stat === null ? null : (stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null);
}

/** True while a process with that id exists, whoever owns it. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim() || null;
  } catch {
    return null;
  }
}
