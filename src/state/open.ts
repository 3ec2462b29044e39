import { randomBytes } from "node:crypto";
import { LogagentError } from "../errors.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, systemClock } from "../runtime.ts";
import { type JournalFs, nodeJournalFs } from "./files.ts";
import { Journal } from "./journal.ts";
import { acquireLock } from "./lock.ts";
import { machineHash } from "./machine.ts";

export interface StateOptions {
  path: string;
  log: Log;
  /** See `JournalOptions.fallBack`. */
  fallBack: boolean;
  /** Overrides the id in the journal; null: the journal's, or a new one. */
  agentId: string | null;
  fs?: JournalFs;
  clock?: Clock;
  machine?: string | null;
}

/** The journal with its lock. */
export interface State {
  journal: Journal;
  close(): Promise<void>;
}

/**
 * Locks and opens the state. The agent id is made once and bound to the machine: on another machine (a cloned image) a
 * new one is made, so that the two never act under one name. Errors: STATE_LOCKED, STATE_DAMAGED, STATE_IO.
 */
export async function openState(options: StateOptions): Promise<State> {
  const { path, log, clock = systemClock, fs = nodeJournalFs, machine = machineHash() } = options;
  const lock = await acquireLock(`${path}.lock`, clock);
  try {
    const header = { agent: options.agentId ?? newAgentId(), machine, cluster: null, topics: {} };
    const journal = await Journal.open({ path, fs, clock, log, fallBack: options.fallBack, header });
    await bindAgent(journal, options.agentId, machine, log);
    return {
      journal,
      async close() {
        await journal.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function bindAgent(journal: Journal, agentId: string | null, machine: string | null, log: Log): Promise<void> {
  const { header } = journal;
  const moved = header.machine !== null && machine !== null && header.machine !== machine;
  const agent = agentId ?? (moved ? newAgentId() : header.agent);
  if (moved && agentId === null) {
    log.warn("the state was made on another machine: this agent gets an id of its own", { was: header.agent, agent });
  }
  await journal.updateHeader({ agent, machine: machine ?? header.machine });
}

function newAgentId(): string {
  return randomBytes(8).toString("hex");
}

/** Throws LogagentError STATE_MISMATCH when the state belongs to another cluster or an input to another topic. */
export function checkDestination(
  journal: Pick<Journal, "path" | "header">,
  destination: { cluster: string | null; topics: Readonly<Record<string, string>> },
): void {
  const { header } = journal;
  if (header.cluster !== null && destination.cluster !== null && header.cluster !== destination.cluster) {
    throw mismatch(
      journal,
      `its positions belong to cluster ${header.cluster}, the brokers are cluster ${destination.cluster}`,
    );
  }
  for (const [input, topic] of Object.entries(destination.topics)) {
    const known = header.topics[input];
    if (known !== undefined && known !== topic) {
      throw mismatch(journal, `input "${input}" went to topic ${known} so far, now it goes to ${topic}`);
    }
  }
}

function mismatch(journal: Pick<Journal, "path">, reason: string): LogagentError {
  return new LogagentError(
    "STATE_MISMATCH",
    `using the state ${journal.path} failed: ${reason}. What was sent there will not be sent again: give --new-destination to go on at the same positions, or another --state to start anew`,
  );
}
