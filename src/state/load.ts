import { LogagentError } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../runtime.ts";
import type { JournalFs } from "./files.ts";
import { OtherVersionError } from "./line.ts";
import type { JournalContent } from "./replace-journal.ts";
import { type Replay, replay, stateAt } from "./replay.ts";
import type { Header } from "./types.ts";

export interface JournalOptions {
  path: string;
  fs: JournalFs;
  clock: Clock;
  log: Log;
  /** Go on from an older state when the journal is damaged: repeats lines, never loses any (at-least-once). */
  fallBack: boolean;
  /** What a new journal says about itself. */
  header: Header;
  /** Bytes over the size of the whole state at which the journal is compacted. Default 1 MiB. */
  compactAfter?: number;
}

export interface LoadedJournal {
  content: JournalContent;
  /** The journal must be written anew: there is none, or an older state is gone on from. */
  rewrite: boolean;
  /** Name under which a damaged journal stays. */
  setAside: string | null;
  /** Bytes of good lines, and of a cut write behind them. */
  size: number;
  tornBytes: number;
}

/**
 * Reads the journal at `path`. A damaged one is never overwritten: with `fallBack` the newest state that can be proven
 * is used (what stands before the damage, else the previous generation `PATH.1`; both only know positions that were
 * acknowledged) and the damaged file keeps a name of its own; otherwise it throws LogagentError STATE_DAMAGED.
 */
export async function loadJournal(options: JournalOptions): Promise<LoadedJournal> {
  const { fs, path, log } = options;
  const bytes = await fs.read(path);
  if (bytes === null) return loaded(emptyContent(options), { rewrite: true });
  const current = readReplay(path, bytes);
  if (current.header !== null && current.damagedLine === 0) {
    if (current.tornBytes > 0) {
      log.warn("the last line of the state was cut by a crash and is left out", {
        state: path,
        bytes: current.tornBytes,
      });
    }
    const content = contentOf(current);
    if (content === null) throw damaged(path, "a checkpoint builds on one that is missing");
    // The cut line may have been a checkpoint whose number the broker has seen.
    if (current.tornBytes > 0) content.highest++;
    return loaded(content, { size: current.goodBytes, tornBytes: current.tornBytes });
  }
  const reason = describe(bytes, current);
  if (!options.fallBack) throw damaged(path, reason);
  const older = await newestProvenState(options, current);
  if (older === null) throw damaged(path, `${reason}, and there is no previous generation`);
  const setAside = `${path}.damaged-${options.clock.now()}`;
  log.error(`the state is damaged: going on from ${older.name}, lines may be repeated`, {
    state: path,
    reason,
    keptAs: setAside,
  });
  older.content.highest = Math.max(older.content.highest, current.highest) + 1;
  return loaded(older.content, { rewrite: true, setAside });
}

function loaded(content: JournalContent, rest: Partial<LoadedJournal>): LoadedJournal {
  return { content, rewrite: false, setAside: null, size: 0, tornBytes: 0, ...rest };
}

function emptyContent(options: JournalOptions): JournalContent {
  return { header: options.header, state: new Map(), confirmed: 0, unconfirmed: [], highest: 0 };
}

async function newestProvenState(options: JournalOptions, current: Replay) {
  const { fs, path } = options;
  if (current.checkpoints.length > 0) {
    const content = contentOf(current);
    if (content !== null && content.confirmed > 0) return { content, name: "the part before the damage" };
  }
  const bytes = await fs.read(`${path}.1`);
  if (bytes === null) return null;
  const previous = readReplay(`${path}.1`, bytes);
  const content = previous.damagedLine === 0 ? contentOf(previous) : null;
  return content === null ? null : { content, name: `the previous generation ${path}.1` };
}

function contentOf(read: Replay): JournalContent | null {
  if (read.header === null) return null;
  const state = read.confirmed === 0 ? new Map() : stateAt(read.checkpoints, read.confirmed);
  if (state === null) return null;
  const unconfirmed = read.checkpoints.filter((checkpoint) => checkpoint.n > read.confirmed);
  return { header: read.header, state, confirmed: read.confirmed, unconfirmed, highest: read.highest };
}

function readReplay(path: string, bytes: Buffer): Replay {
  try {
    return replay(bytes);
  } catch (error) {
    if (!(error instanceof OtherVersionError)) throw error;
    throw new LogagentError("STATE_DAMAGED", `reading the state ${path} failed: it has ${error.message}`, error);
  }
}

function describe(bytes: Buffer, read: Replay): string {
  if (bytes.length === 0) return "the file is empty";
  if (bytes.every((byte) => byte === 0)) return "the file holds only NULs";
  if (read.damagedLine > 0) return `line ${read.damagedLine} is damaged`;
  return "it does not begin with the header of a state journal";
}

function damaged(path: string, reason: string): LogagentError {
  return new LogagentError(
    "STATE_DAMAGED",
    `reading the state ${path} failed: ${reason}; it is left as it is. Restore it from a backup, or move it away to start anew`,
  );
}
