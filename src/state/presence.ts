/**
 * A sign of life that the kernel keeps: a socket in the state's directory on which its owner listens. It ends with the
 * process, however that ends, and answers whoever sees the directory: also from another container, where process ids
 * mean nothing, and while the owner is stopped or frozen.
 */
import { lstatSync, unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";

/** Milliseconds. A connection to such a socket is made or refused at once. */
const patience = 2000;

/**
 * Listens at `path` until the returned function is called; null where the system or the file system has no such sockets.
 * Does not keep the process from ending.
 */
export function showPresence(path: string): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    try {
      const server = createServer((socket) => socket.destroy());
      server.once("error", () => resolve(null));
      server.listen({ path }, () => {
        server.unref();
        resolve(() => {
          server.close();
          removeSocket(path);
        });
      });
    } catch {
      resolve(null);
    }
  });
}

/** Whether somebody listens at `path`; null where that cannot be told. */
export function isPresent(path: string): Promise<boolean | null> {
  return new Promise((resolve) => {
    try {
      const socket = connect({ path });
      const end = (present: boolean | null) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(present);
      };
      const timer = setTimeout(() => end(true), patience);
      socket.once("connect", () => end(true));
      socket.on("error", ({ code }: NodeJS.ErrnoException) => end(verdicts.get(code ?? "") ?? null));
    } catch {
      resolve(null);
    }
  });
}

/** What connect(2) says; a listener that hangs up at once or has too many callers is there all the same. */
const verdicts = new Map([
  ["ECONNREFUSED", false],
  ["ECONNRESET", true],
  ["EPIPE", true],
  ["EAGAIN", true],
  ["ETIMEDOUT", true],
]);

/** What a dead owner left behind. */
export function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // It is gone already, or stays as an empty name that nobody listens to.
  }
}
