/** The descriptors of all inputs together stay below what the system allows the process, with a reserve for everything else. */
import { readdirSync, readFileSync } from "node:fs";

/** Connections to brokers, the journal, metrics, files that are only compared. */
const reserve = 24;

interface Member {
  /** Descriptors open now. */
  readonly count: number;
  /** Closes one that can be opened again; false when there is none. */
  evict(): boolean;
}

export class DescriptorBudget {
  readonly #limit: number;
  readonly #members = new Set<Member>();

  /** `limit`: descriptors of all members together. */
  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
  }

  join(member: Member): void {
    this.#members.add(member);
  }

  leave(member: Member): void {
    this.#members.delete(member);
  }

  /** True if another one may be opened, after closing one of the member that has most. */
  makeRoom(): boolean {
    let used = 0;
    for (const { count } of this.#members) used += count;
    if (used < this.#limit) return true;
    return [...this.#members].sort((a, b) => b.count - a.count).some((member) => member.evict());
  }
}

/** What this process may still open for files: the soft limit (`ulimit -n`) less what is open now and the reserve. */
export function availableDescriptors(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft) - readdirSync("/proc/self/fd").length - reserve;
  } catch {
    // No such file system: the first open that fails tells.
    return Number.POSITIVE_INFINITY;
  }
}
