/** The agent's memory: one append-only file of checkpoints. A checkpoint is durable when `append` resolves. */
import { dirname } from "node:path";
import { LogagentError } from "../errors.ts";
import { isCode, type JournalFile } from "./files.ts";
import { type Entry, encodeEntry } from "./line.ts";
import { type JournalOptions, loadJournal } from "./load.ts";
import { type JournalContent, replaceJournal } from "./replace-journal.ts";
import { applyCheckpoint } from "./replay.ts";
import type { Checkpoint, FileState, Header } from "./types.ts";

/** How long a `confirmed` line may wait for the next checkpoint to be written with, in milliseconds. */
const confirmDelay = 1000;

export class Journal {
  readonly path: string;
  private readonly options: JournalOptions;
  private file: JournalFile;
  private size: number;
  /** Size of the journal right after its last compaction. */
  private compactedSize = 0;
  private currentHeader: Header;
  /** The state at `confirmedNumber`. */
  private readonly confirmedState: Map<string, FileState>;
  private confirmedNumber: number;
  /** Written after `confirmedNumber`, true or not. */
  private unconfirmed: Checkpoint[];
  private lastNumber: number;
  private unwrittenConfirm = false;
  private cancelConfirmTimer: (() => void) | null = null;
  private queue: Promise<unknown> = Promise.resolve();
  private failure: LogagentError | null = null;

  private constructor(
    options: JournalOptions,
    file: JournalFile,
    content: JournalContent,
    size: number,
    compactedSize: number,
  ) {
    this.options = options;
    this.path = options.path;
    this.file = file;
    this.size = size;
    this.compactedSize = compactedSize;
    this.currentHeader = content.header;
    this.confirmedState = content.state;
    this.confirmedNumber = content.confirmed;
    this.unconfirmed = content.unconfirmed;
    this.lastNumber = content.highest;
  }

  /**
   * Reads the journal, or makes a new one. Throws LogagentError STATE_DAMAGED when it cannot be read (it is left as it
   * is), STATE_IO when the system refuses.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { fs, path } = options;
    try {
      await fs.makeDirectory(dirname(path));
      const loaded = await loadJournal(options);
      if (loaded.rewrite) {
        const written = await replaceJournal(fs, path, loaded.content, loaded.setAside);
        return new Journal(options, written.file, loaded.content, written.size, written.size);
      }
      const file = await fs.open(path, false);
      if (loaded.tornBytes > 0) await file.truncate(loaded.size);
      // How much of it is old is unknown: if it is large, the first append compacts, or restarts would let it grow.
      return new Journal(options, file, loaded.content, loaded.size, 0);
    } catch (error) {
      if (error instanceof LogagentError) throw error;
      throw new LogagentError("STATE_IO", `opening the state ${path} failed: ${(error as Error).message}`, error);
    }
  }

  get header(): Header {
    return this.currentHeader;
  }

  /** Number of the newest checkpoint known to be true; 0 if none. */
  get confirmed(): number {
    return this.confirmedNumber;
  }

  /** Checkpoints behind the confirmed one whose truth only the group's offset knows. */
  get pending(): readonly Checkpoint[] {
    return this.unconfirmed;
  }

  /** The highest number ever given out or seen. */
  get highest(): number {
    return this.lastNumber;
  }

  /** The files as of the confirmed checkpoint. */
  get state(): ReadonlyMap<string, FileState> {
    return this.confirmedState;
  }

  /** True after an fsync failed: what is on disk is unknown, nothing more can be promised. */
  get broken(): boolean {
    return this.failure !== null;
  }

  /** A number never used before; `seen` is one that was seen elsewhere. */
  nextNumber(seen = 0): number {
    this.lastNumber = Math.max(this.lastNumber, seen) + 1;
    return this.lastNumber;
  }

  /**
   * Makes the checkpoint durable. Throws LogagentError STATE_IO when it could not be written: the journal is as before
   * and a later call may succeed, unless `broken`.
   */
  append(checkpoint: Checkpoint): Promise<void> {
    return this.serially(async () => {
      await this.write({ type: "checkpoint", checkpoint }, true);
      this.unconfirmed.push(checkpoint);
      if (checkpoint.confirmed) this.fold(checkpoint.n);
      await this.compactIfLarge();
    });
  }

  /** The checkpoint is true. The line that says so is written with the next checkpoint or a little later, unsynced. */
  confirm(n: number): void {
    this.fold(n);
    this.unwrittenConfirm = true;
    this.cancelConfirmTimer ??= this.options.clock.after(confirmDelay, () => {
      this.cancelConfirmTimer = null;
      this.writeConfirm().catch((error) => this.options.log.warn(error.message));
    });
  }

  /** Changes the header and makes that durable; does nothing when nothing changes. Errors as `append`. */
  updateHeader(change: Partial<Header>): Promise<void> {
    return this.serially(async () => {
      const header = { ...this.currentHeader, ...change };
      if (JSON.stringify(header) === JSON.stringify(this.currentHeader)) return;
      await this.write({ type: "header", header }, true);
      this.currentHeader = header;
    });
  }

  /** Writes what is left and closes the file; never throws. */
  async close(): Promise<void> {
    this.cancelConfirmTimer?.();
    await this.writeConfirm().catch(() => {});
    await this.queue.catch(() => {});
    await this.file.close().catch(() => {});
  }

  private writeConfirm(): Promise<void> {
    return this.serially(async () => {
      if (this.unwrittenConfirm) await this.write(null, false);
    });
  }

  private serially<T>(task: () => Promise<T>): Promise<T> {
    const result = this.queue.then(() => {
      if (this.failure) throw this.failure;
      return task();
    });
    this.queue = result.catch(() => {});
    return result;
  }

  private async write(entry: Entry | null, durable: boolean): Promise<void> {
    const { log } = this.options;
    const confirmedWritten = this.unwrittenConfirm ? this.confirmedNumber : 0;
    let text = confirmedWritten ? encodeEntry({ type: "confirmed", n: confirmedWritten }) : "";
    if (entry !== null) text += encodeEntry(entry);
    const bytes = Buffer.from(text);
    try {
      await this.file.write(bytes, this.size);
    } catch (error) {
      await this.file.truncate(this.size).catch((cause) => log.debug(`cutting a failed write: ${cause.message}`));
      throw new LogagentError("STATE_IO", `writing the state ${this.path} failed: ${(error as Error).message}`, error);
    }
    if (durable) await this.sync(this.file, this.path);
    this.size += bytes.length;
    if (confirmedWritten === this.confirmedNumber) this.unwrittenConfirm = false;
  }

  /** After a failed fsync the kernel may have dropped the pages and will report success next time: no second try. */
  private async sync(file: JournalFile, path: string): Promise<void> {
    try {
      await file.sync();
    } catch (error) {
      this.failure = new LogagentError(
        "STATE_IO",
        `making the state ${path} durable failed: ${(error as Error).message}; the state up to checkpoint ${this.confirmedNumber} is intact`,
        error,
      );
      throw this.failure;
    }
  }

  private fold(n: number): void {
    const state = new Map(this.unconfirmed.map((checkpoint) => [checkpoint.n, checkpoint]));
    const chain: Checkpoint[] = [];
    for (let at = n; at > this.confirmedNumber; ) {
      const checkpoint = state.get(at);
      if (checkpoint === undefined) throw new Error(`checkpoint ${n} builds on ${at}, which the journal does not have`);
      chain.push(checkpoint);
      at = checkpoint.base;
    }
    for (const checkpoint of chain.reverse()) applyCheckpoint(this.confirmedState, checkpoint);
    this.confirmedNumber = Math.max(this.confirmedNumber, n);
    this.unconfirmed = this.unconfirmed.filter((checkpoint) => checkpoint.n > n);
  }

  private async compactIfLarge(): Promise<void> {
    const { fs, log, compactAfter = 1 << 20 } = this.options;
    if (this.size < 2 * this.compactedSize + compactAfter) return;
    const content = {
      header: this.currentHeader,
      state: this.confirmedState,
      confirmed: this.confirmedNumber,
      unconfirmed: this.unconfirmed,
      highest: this.lastNumber,
    };
    try {
      const { file, size } = await replaceJournal(fs, this.path, content, `${this.path}.1`);
      await this.file.close().catch(() => {});
      this.file = file;
      this.size = size;
      this.compactedSize = size;
    } catch (error) {
      if (!isCode(error, "ENOSPC") && !isCode(error, "EDQUOT")) {
        this.failure = new LogagentError(
          "STATE_IO",
          `compacting the state ${this.path} failed: ${(error as Error).message}; the state up to checkpoint ${this.confirmedNumber} is intact`,
          error,
        );
        throw this.failure;
      }
      log.warn(`compacting the state ${this.path} failed, it goes on growing: ${(error as Error).message}`);
      this.compactedSize = this.size;
    }
  }
}
