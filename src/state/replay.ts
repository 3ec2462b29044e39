import { decodeEntry, type Entry } from "./line.ts";
import type { Checkpoint, FileState, Header } from "./types.ts";

/** What the bytes of a journal say. */
export interface Replay {
  header: Header | null;
  /** In the order of the file; those before the last `full` one are left out. */
  checkpoints: Checkpoint[];
  /** Highest number that is known to be true; 0 if none. */
  confirmed: number;
  /** Highest number seen anywhere; 0 if none. */
  highest: number;
  /** Bytes from the start that are whole and undamaged lines. */
  goodBytes: number;
  /** Bytes behind `goodBytes` without a whole line among them: a write that a crash cut. */
  tornBytes: number;
  /** 1-based number of the first damaged line that has a good one behind it; 0 if none. */
  damagedLine: number;
}

/**
 * Reads a journal. Bad bytes at the end are a torn write (also NULs that a power cut left); a bad line with a good one
 * behind it is damage, and nothing behind it counts, except for `highest`.
 */
export function replay(bytes: Buffer): Replay {
  const result: Replay = {
    header: null,
    checkpoints: [],
    confirmed: 0,
    highest: 0,
    goodBytes: 0,
    tornBytes: 0,
    damagedLine: 0,
  };
  let bad = 0;
  let number = 0;
  for (let start = 0; start < bytes.length; ) {
    number++;
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    const entry = newline < 0 ? null : decodeEntry(bytes.toString("utf8", start, end));
    if (entry === null) bad ||= number;
    else if (bad === 0) {
      take(result, entry);
      result.goodBytes = end + 1;
    } else {
      result.damagedLine = bad;
      if (entry.type === "checkpoint") result.highest = Math.max(result.highest, entry.checkpoint.n);
    }
    start = end + 1;
  }
  if (result.damagedLine === 0) result.tornBytes = bytes.length - result.goodBytes;
  return result;
}

function take(result: Replay, entry: Entry): void {
  if (entry.type === "header") {
    result.header = entry.header;
    return;
  }
  if (entry.type === "confirmed") {
    result.confirmed = Math.max(result.confirmed, entry.n);
    return;
  }
  const { checkpoint } = entry;
  if (checkpoint.full) result.checkpoints = [];
  result.checkpoints.push(checkpoint);
  result.highest = Math.max(result.highest, checkpoint.n);
  if (checkpoint.confirmed) result.confirmed = Math.max(result.confirmed, checkpoint.n);
}

/**
 * The state at checkpoint `n`: follows `base` back to the last full one (or to 0, the empty state) and applies the
 * changes forward. Null when `n` or a link of its chain is missing.
 */
export function stateAt(checkpoints: readonly Checkpoint[], n: number): Map<string, FileState> | null {
  const byNumber = new Map(checkpoints.map((checkpoint) => [checkpoint.n, checkpoint]));
  const chain: Checkpoint[] = [];
  for (let at = n; at !== 0; ) {
    const checkpoint = byNumber.get(at);
    // A base that is not older would lead round in a circle.
    if (checkpoint === undefined || checkpoint.base >= at) return null;
    chain.push(checkpoint);
    if (checkpoint.full) break;
    at = checkpoint.base;
  }
  const state = new Map<string, FileState>();
  for (const checkpoint of chain.reverse()) applyCheckpoint(state, checkpoint);
  return state;
}

/** Changes `state` from the one at `checkpoint.base` to the one at `checkpoint.n`. */
export function applyCheckpoint(state: Map<string, FileState>, checkpoint: Checkpoint): void {
  if (checkpoint.full) state.clear();
  for (const file of checkpoint.files) state.set(file.key, file);
  for (const key of checkpoint.removed ?? []) state.delete(key);
}
