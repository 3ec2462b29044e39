import { LogagentError } from "../../errors.ts";
import type { GroupOffset } from "../../kafka/transactions/coordinator.ts";
import type { Journal } from "../../state/journal.ts";

/** What a transaction commits besides its records: the number of the checkpoint and who wrote it. */
export interface Mark {
  n: number;
  nonce: string;
}

/** The highest checkpoint number the group's offsets hold; null when there is none. */
export function highestMark(offsets: readonly GroupOffset[]): Mark | null {
  let highest: Mark | null = null;
  for (const { offset, metadata } of offsets) {
    const n = Number(offset);
    if (n >= 0 && n > (highest?.n ?? -1)) highest = { n, nonce: metadata ?? "" };
  }
  return highest;
}

/**
 * Which checkpoint is true at the start. `mark` is what Kafka holds after every pending transaction was resolved.
 *
 * - No mark: harmless when nothing is in doubt, that is when no checkpoint waits for its transaction's verdict.
 * - A mark by a nonce that is not in the journal, or beyond its numbers: this journal is not the one that committed last.
 * - A mark behind the confirmed checkpoint: later checkpoints were true without a transaction of their own.
 *
 * Throws LogagentError STATE_MISMATCH where only the user can decide; `recover` is that decision.
 */
export function trueCheckpoint(
  journal: Pick<Journal, "confirmed" | "pending" | "highest" | "header" | "path">,
  mark: Mark | null,
  recover: "repeat" | "skip" | null,
): number {
  const { confirmed, pending } = journal;
  const newest = pending.at(-1)?.n ?? confirmed;
  if (mark === null) {
    if (newest === confirmed) return confirmed;
    if (recover === "repeat") return confirmed;
    if (recover === "skip") return newest;
    throw inDoubt(
      journal,
      `Kafka has no offset for the group any more (expired, or its topics were deleted), and whether the transaction of checkpoint ${newest} was committed is not known`,
      true,
    );
  }
  const ours = journal.header.nonces?.includes(mark.nonce) ?? false;
  if (!ours || mark.n > journal.highest) {
    if (recover === "repeat") return confirmed;
    const who = ours ? "an earlier or restored copy of the state" : "another state, or another agent with the same id";
    throw inDoubt(
      journal,
      `Kafka holds checkpoint ${mark.n} of this agent, but this state ends at ${journal.highest} and did not write it: it was written with ${who}`,
      false,
    );
  }
  if (mark.n <= confirmed) return confirmed;
  if (pending.some(({ n }) => n === mark.n)) return mark.n;
  throw inDoubt(
    journal,
    `Kafka holds checkpoint ${mark.n}, which this state lacks although it knows ${journal.highest}`,
    false,
  );
}

function inDoubt(journal: Pick<Journal, "header" | "path">, reason: string, canSkip: boolean): LogagentError {
  const skip = canSkip ? ", or --recover skip to leave them out (they may be missing in Kafka)" : "";
  return new LogagentError(
    "STATE_MISMATCH",
    `resuming exactly-once as agent ${journal.header.agent} from ${journal.path} failed: ${reason}. Give --recover repeat to send the lines in doubt again (they may be in Kafka twice)${skip}`,
  );
}
