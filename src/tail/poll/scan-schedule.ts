/** When to walk the patterns anew: now and then, soon after an event, and quickly while a path is missing. */
import { within } from "../../runtime.ts";
import type { Found } from "../discovery/found.ts";
import { RefusedLinks } from "../discovery/refused-links.ts";
import { patience } from "../files/network-source.ts";
import { isScarce } from "../fs/fs.ts";
import { inside } from "../fs/rotated-names.ts";
import type { Context } from "../rotation/context.ts";
import { unreadable } from "../rotation/follow.ts";
import { type Arrivals, oldestFirst } from "../rotation/new-paths.ts";
import type { DirectoryWatch } from "./watch.ts";

/** Milliseconds between walks: 1 s, doubling while nothing changes where a walk takes long. */
const shortest = 1000;
const longest = 4000;
/** Milliseconds between walks that events ask for. */
const gap = 20;
/** Milliseconds in which a server mostly tells of all files of a walk, so that they are taken in the order of age. */
const answerTime = 1000;
/** Milliseconds between two removals of what is not there any more from what is remembered of links. */
const pruneEvery = 60_000;

export class Scout {
  readonly #context: Context;
  readonly #arrivals: Arrivals;
  readonly #watch: DirectoryWatch;
  readonly #wake: () => void;
  readonly #refused = new RefusedLinks();
  #nextPrune = 0;
  #next = 0;
  #last = Number.NEGATIVE_INFINITY;
  #interval = shortest;
  #pending = 0;
  /** Somebody wants a walk after the one that is under way. */
  #wanted = false;

  constructor(context: Context, arrivals: Arrivals, watch: DirectoryWatch, wake: () => void) {
    this.#context = context;
    this.#arrivals = arrivals;
    this.#watch = watch;
    this.#wake = wake;
  }

  /** A walk is under way. */
  get busy(): boolean {
    return this.#pending > 0;
  }

  /** The first walk. What a server answers only later still belongs to it. */
  async start(): Promise<void> {
    const { clock } = this.#context;
    const pending = this.#walk(clock.monotonic());
    if (pending.length > 0) await within(clock, patience, Promise.all(pending));
  }

  run(now: number): void {
    if (now >= this.#next) this.#walk(now);
  }

  wait(now: number): number {
    return Math.max(0, this.#next - now);
  }

  /** Something may have appeared. A path that just lost its file mostly gets another one within moments. */
  soon(): void {
    this.#wanted = true;
    const now = this.#context.clock.monotonic();
    this.#interval = Math.min(this.#interval, Math.max(gap, this.#context.options.pollMin));
    this.#next = Math.min(this.#next, Math.max(now, this.#last + gap));
  }

  /** Events may have been missed: a walk within a second. */
  again(): void {
    this.#next = Math.min(this.#next, Math.max(this.#context.clock.monotonic(), this.#last + shortest));
  }

  #walk(now: number): Promise<void>[] {
    const { registry, discovery, options, clock } = this.#context;
    const known = (path: string) =>
      registry.byPath.has(path) || registry.copies.has(path) || this.#context.foreign.has(path);
    this.#wanted = false;
    this.#arrivals.dropStaleCopies("local");
    this.#context.foreign.review("local");
    const first = this.#arrivals.firstScan;
    const { found, pending } = discovery.scan(
      {
        known,
        trouble: (path, error) => this.#trouble(path, error),
        now: clock.now(),
        unlearned: registry.unlearned,
        rests: (path) => this.#refused.rests(path, now),
        refused: (path, reason) => {
          this.#refused.refused(path, now);
          this.#context.troubles.met({ name: "link-refused", what: "not following", path, reason }, now);
        },
      },
      (late) => {
        // The server has just answered: what else is to be asked of it is asked now.
        this.#arrivals.dropStaleCopies("network");
        this.#context.foreign.review("network");
        this.#arrivals.firstScan = first;
        this.#take(late);
        this.#arrivals.firstScan = false;
        if (options.reopen) this.#arrivals.reviewMissing("network");
        this.#watch.set(discovery.directories);
        this.#wake();
      },
      () => new Promise((resolve) => clock.after(answerTime, resolve)),
    );
    for (const one of pending) {
      this.#pending++;
      one.then(() => {
        this.#pending--;
        this.#wake();
      });
    }
    const changes = this.#take(found);
    if (options.reopen) this.#arrivals.reviewMissing("local");
    this.#watch.set(discovery.directories);
    this.#last = clock.monotonic();
    this.#context.troubles.sum(this.#last);
    if (this.#last >= this.#nextPrune) {
      this.#nextPrune = this.#last + pruneEvery;
      this.#refused.prune(this.#last);
    }
    const cost = this.#last - now;
    const told = [...discovery.directories].every((directory) => this.#context.watched(inside(directory)));
    const most = told ? longest * 2 : Math.max(shortest, Math.min(longest, 500 * cost));
    const least = Math.max(gap, 20 * cost);
    if (this.#wanted) this.#interval = Math.min(Math.max(shortest, 5 * cost), least);
    else if (changes > 0) this.#interval = Math.max(least, Math.min(this.#interval, shortest));
    else this.#interval = Math.min(most, Math.max(least, this.#interval * 2));
    this.#next = Math.min(this.#last + this.#interval, Math.max(this.#last + gap, this.#arrivals.reviewAt));
    return pending;
  }

  #take(found: Found[]): number {
    let changes = 0;
    for (const one of oldestFirst(found)) {
      if (!this.#context.registry.byPath.has(one.path) && this.#arrivals.found(one)) changes++;
    }
    return changes;
  }

  /** What could not be looked into is not gone; it is tried again. */
  #trouble(path: string, error: unknown): void {
    if (isScarce(error)) {
      this.#context.descriptors.full();
      this.#wanted = true;
      return;
    }
    unreadable(this.#context, "cannot look into", path, error);
  }
}
