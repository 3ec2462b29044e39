import { randomBytes } from "node:crypto";
import { linkSync, readdirSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LogagentError } from "../errors.ts";
import { type Clock, sleep, systemClock } from "../runtime.ts";
import { prepareDirectory, readOwnFile } from "./directory.ts";
import { isCode } from "./files.ts";
import { bootId, processExists, processStart } from "./machine.ts";
import { isPresent, removeSocket, showPresence } from "./presence.ts";

/** Who holds a lock file. */
export interface Owner {
  pid: number;
  /** Null where the system does not say. */
  boot: string | null;
  started: string | null;
  /** Tells two locks of one process apart. */
  token: string;
  /** Name of the socket beside the lock on which the owner listens; null where there are none. */
  socket: string | null;
}

export interface Lock {
  release(): void;
}

/** How long a new owner waits before it looks whether a takeover took its lock too, in milliseconds. */
const takeoverCheck = 100;

/**
 * Takes the lock file, replacing one whose owner is dead. Throws LogagentError STATE_LOCKED naming the live owner's
 * process id, or STATE_IO.
 *
 * The file appears with its content at once: a complete temporary file is linked to the name, which fails when the name
 * exists (the O_EXCL of links). A stale lock is first renamed away; who finds that it renamed another lock than the
 * one it judged puts it back, and each new owner looks once more after a moment whether the lock is still its own.
 *
 * Whether an owner lives is asked of the kernel by its socket (`presence.ts`), which is there before the lock is. Process
 * ids, which mean nothing in another container, only decide where there are no sockets.
 */
export async function acquireLock(path: string, clock: Clock = systemClock): Promise<Lock> {
  const token = randomBytes(8).toString("hex");
  const own: Owner = { pid: process.pid, boot: bootId(), started: processStart(process.pid), token, socket: null };
  let leave: (() => void) | null = null;
  try {
    prepareDirectory(dirname(path));
    const socket = `${basename(path)}.${token}.socket`;
    leave = await showPresence(join(dirname(path), socket));
    if (leave !== null) own.socket = socket;
    await take(path, own, clock);
    await sweep(path);
    return held(path, own, leave);
  } catch (error) {
    leave?.();
    if (error instanceof LogagentError) throw error;
    throw new LogagentError("STATE_IO", `locking the state with ${path} failed: ${(error as Error).message}`, error);
  }
}

async function take(path: string, own: Owner, clock: Clock): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (create(path, own)) return;
    const owner = readOwner(path);
    if (owner === "gone") continue;
    if (owner !== "garbage" && (await isAlive(path, owner))) throw lockedBy(path, owner);
    moveAway(path, owner, own.token);
    if (owner !== "garbage" && owner.socket) removeSocket(join(dirname(path), owner.socket));
    if (!create(path, own)) continue;
    await sleep(clock, takeoverCheck);
    if (isHeldBy(path, own)) return;
  }
  throw new LogagentError("STATE_LOCKED", `locking the state with ${path} failed: other agents keep taking it`);
}

/** Removes the sockets of starts that were killed before they had the lock. */
async function sweep(path: string): Promise<void> {
  const directory = dirname(path);
  for (const name of readdirSync(directory)) {
    if (!isSocketName(path, name)) continue;
    if ((await isPresent(join(directory, name))) === false) removeSocket(join(directory, name));
  }
}

/** The process id of the lock's owner while it runs, else null. Never throws. */
export async function runningOwner(path: string): Promise<number | null> {
  try {
    const owner = readOwner(path);
    return typeof owner === "object" && (await isAlive(path, owner)) ? owner.pid : null;
  } catch {
    return null;
  }
}

/** The same boot, and somebody listens at the owner's socket or, without one, its process exists. */
async function isAlive(path: string, owner: Owner): Promise<boolean> {
  const boot = bootId();
  if (boot !== null && owner.boot !== null && boot !== owner.boot) return false;
  const present = owner.socket ? await isPresent(join(dirname(path), owner.socket)) : null;
  return present ?? isProcess(owner);
}

/** A process of that id with that start time is seen from here. */
function isProcess(owner: Owner): boolean {
  if (!processExists(owner.pid)) return false;
  const started = processStart(owner.pid);
  return started === null || owner.started === null || started === owner.started;
}

function create(path: string, own: Owner): boolean {
  const text = `${JSON.stringify(own)}\n`;
  const temporary = `${path}.${own.token}`;
  writeFileSync(temporary, text, { flag: "wx", mode: 0o600 });
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    return createWithoutLinks(path, text);
  } finally {
    unlinkSync(temporary);
  }
}

function createWithoutLinks(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (isCode(error, "EEXIST")) return false;
    throw error;
  }
}

function readOwner(path: string): Owner | "garbage" | "gone" {
  try {
    return asOwner(path, JSON.parse(readOwnFile(path).toString("utf8")));
  } catch (error) {
    if (isCode(error, "ENOENT")) return "gone";
    // A link, a FIFO, a directory: nothing that an agent made.
    if (error instanceof SyntaxError || notALock.some((code) => isCode(error, code))) return "garbage";
    throw error;
  }
}

const notALock = ["ELOOP", "EMLINK", "EINVAL", "EISDIR", "ENXIO"];

/** Only what an agent may have written counts: a socket is a name of its own beside the lock, never a path elsewhere. */
function asOwner(path: string, value: unknown): Owner | "garbage" {
  if (typeof value !== "object" || value === null) return "garbage";
  const { pid, boot, started, token, socket } = value as Record<keyof Owner, unknown>;
  if (typeof pid !== "number" || !Number.isSafeInteger(pid) || pid < 1) return "garbage";
  const text = (field: unknown) => (typeof field === "string" ? field : null);
  return {
    pid,
    boot: text(boot),
    started: text(started),
    token: text(token) ?? "",
    socket: isSocketName(path, socket) ? socket : null,
  };
}

function isSocketName(path: string, name: unknown): name is string {
  const start = `${basename(path)}.`;
  return typeof name === "string" && name.startsWith(start) && /^[0-9a-f]+\.socket$/.test(name.slice(start.length));
}

function moveAway(path: string, judged: Owner | "garbage", token: string): void {
  const aside = `${path}.stale.${token}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isCode(error, "ENOENT")) return;
    throw error;
  }
  const moved = readOwner(aside);
  if (typeof moved === "object" && (judged === "garbage" || moved.token !== judged.token)) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody else has it by now; the owner of the moved lock sees that in its second look.
    }
  }
  unlinkSync(aside);
}

function isHeldBy(path: string, own: Owner): boolean {
  const owner = readOwner(path);
  return typeof owner === "object" && owner.token === own.token;
}

function held(path: string, own: Owner, leave: (() => void) | null): Lock {
  return {
    release() {
      try {
        if (isHeldBy(path, own)) unlinkSync(path);
      } catch {
        // A lock that stays behind is stale: the next start takes it over.
      }
      leave?.();
    },
  };
}

function lockedBy(path: string, owner: Owner): LogagentError {
  const where = isProcess(owner) ? "" : " of another container";
  return new LogagentError(
    "STATE_LOCKED",
    `locking the state failed: process ${owner.pid}${where} uses it already (${path}); one state file serves one agent`,
  );
}
