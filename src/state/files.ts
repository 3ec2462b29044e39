import { constants } from "node:fs";
import { copyFile, type FileHandle, link, open, rename, unlink } from "node:fs/promises";
import { checkOwnFile, notAFile, prepareDirectory, READ_OWN } from "./directory.ts";

/** The file operations of the journal, one system call each, so that tests can crash between any two of them. */
export interface JournalFs {
  /** Null when there is no such file. Throws LogagentError STATE_IO for what others could have put there. */
  read(path: string): Promise<Buffer | null>;
  /** Opens for writing at given positions; `create` makes a new empty file of mode 0600 in place of what has the name. */
  open(path: string, create: boolean): Promise<JournalFile>;
  rename(from: string, to: string): Promise<void>;
  /** A second name for the file (a copy where the file system has no links). */
  link(from: string, to: string): Promise<void>;
  /** No error when there is no such file. */
  unlink(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  /** Makes renames and links in the directory durable. */
  syncDirectory(path: string): Promise<void>;
}

export interface JournalFile {
  /** Writes all of it or throws. */
  write(bytes: Buffer, position: number): Promise<void>;
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export const nodeJournalFs: JournalFs = {
  async read(path) {
    let handle: FileHandle;
    try {
      handle = await open(path, READ_OWN);
    } catch (error) {
      if (isCode(error, "ENOENT")) return null;
      throw notAFile(path, error);
    }
    try {
      checkOwnFile(path, await handle.stat());
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  },
  async open(path, create) {
    // Never through a link and never into a file that somebody else made and still holds open.
    const noFollow = constants.O_NOFOLLOW ?? 0;
    if (create) await nodeJournalFs.unlink(path);
    const flags = constants.O_WRONLY | noFollow | (create ? constants.O_CREAT | constants.O_EXCL : 0);
    return new NodeJournalFile(await open(path, flags, 0o600));
  },
  rename,
  async link(from, to) {
    try {
      await link(from, to);
    } catch (error) {
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].some((code) => isCode(error, code))) throw error;
      await copyFile(from, to, constants.COPYFILE_EXCL);
    }
  },
  async unlink(path) {
    try {
      await unlink(path);
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw error;
    }
  },
  async makeDirectory(path) {
    prepareDirectory(path);
  },
  async syncDirectory(path) {
    // Windows cannot open directories; its renames are journaled by the file system.
    if (process.platform === "win32") return;
    const directory = await open(path, constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

class NodeJournalFile implements JournalFile {
  private readonly handle: FileHandle;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async write(bytes: Buffer, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.handle.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }

  sync(): Promise<void> {
    return this.handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.handle.truncate(length);
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** True for a system error with that code, for example `ENOENT`. */
export function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === code;
}
