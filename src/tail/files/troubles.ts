/** What cannot be read, said once: thousands of files that may not be read must not fill the log at each walk. */
import type { TailEvent } from "../types.ts";

/** Paths named in the log, each with its reason; of more than these only the number is told, now and then. */
const mostNamed = 10;
/** Milliseconds between two such numbers, and after which more paths may be named. */
const summaryEvery = 600_000;
/** Paths remembered; what is beyond them is only counted. */
const mostKnown = 20_000;
/** Milliseconds after which a path that was not in the way again is forgotten. */
const keptFor = 3_600_000;

interface Known {
  reason: string;
  seen: number;
}

interface Trouble {
  /** The event's. */
  name: string;
  /** "cannot open", "not following", …. */
  what: string;
  path: string;
  reason: string;
  /** What many such paths have in common, in the place of the reason. */
  kind?: string;
  /** Default warn, for the first few. */
  level?: "warn" | "debug";
  more?: Partial<TailEvent>;
}

export type Say = (level: TailEvent["level"], name: string, message: string, more: Partial<TailEvent>) => void;

export class Troubles {
  readonly #say: Say;
  readonly #known = new Map<string, Known>();
  /** By what was tried and why it failed: paths that were not named. */
  readonly #unnamed = new Map<string, number>();
  #named = 0;
  #summed = Number.NEGATIVE_INFINITY;

  constructor(say: Say) {
    this.#say = say;
  }

  /** The trouble was met (again) at `now`, monotonic milliseconds. */
  met(trouble: Trouble, now: number): void {
    const { name, what, path, reason, more } = trouble;
    const known = this.#known.get(path);
    if (known) known.seen = now;
    if (known?.reason === reason) return;
    if (known || this.#known.size < mostKnown) this.#known.set(path, { reason, seen: now });
    const quiet = trouble.level === "debug" || this.#named >= mostNamed;
    if (!quiet) this.#named++;
    else if (trouble.level !== "debug") {
      const kind = `${what}: ${trouble.kind ?? shortReason(reason)}`;
      this.#unnamed.set(kind, (this.#unnamed.get(kind) ?? 0) + 1);
    }
    this.#say(quiet ? "debug" : "warn", name, `${what} ${path}: ${reason}`, { path, ...more });
  }

  /** It can be read. */
  over(path: string): void {
    this.#known.delete(path);
  }

  /** A walk is over: says how many were not named. */
  sum(now: number): void {
    if (now < this.#summed + summaryEvery) return;
    for (const [path, { seen }] of this.#known) if (seen < now - keptFor) this.#known.delete(path);
    if (this.#named === 0) return;
    this.#summed = now;
    for (const [kind, count] of this.#unnamed)
      this.#say("warn", "file-unreadable", `${count} more paths: ${kind} (--log-level debug names them)`, {});
    this.#unnamed.clear();
    this.#named = 0;
  }
}

/** The system's words without the call and the path: "EACCES: permission denied". */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /^[A-Z][A-Z0-9]+: [^,]+(?=, )/.exec(text)?.[0] ?? text;
}

/** What many have in common: the code, or what kind of link it was. */
function shortReason(reason: string): string {
  return /^[A-Z][A-Z0-9]+: [^,]+$/.test(reason) ? reason : "a link that is not followed (--follow-links)";
}
