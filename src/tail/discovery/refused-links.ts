/** Links that were refused: looked at less and less often, or thousands of them would cost as much at each walk. */

/** Milliseconds until a refused link is looked at again; doubled each time. */
const shortest = 2000;
const longest = 60_000;

export class RefusedLinks {
  readonly #links = new Map<string, { until: number; wait: number }>();

  /** Was it refused, so that it is not looked at now? `now`: monotonic milliseconds. */
  rests(path: string, now: number): boolean {
    const link = this.#links.get(path);
    return link !== undefined && now < link.until;
  }

  refused(path: string, now: number): void {
    const wait = Math.min(longest, (this.#links.get(path)?.wait ?? shortest / 2) * 2);
    this.#links.set(path, { until: now + wait, wait });
  }

  /** Forgets those that were not met again when they could have been. */
  prune(now: number): void {
    for (const [path, { until }] of this.#links) if (now > until + 2 * longest) this.#links.delete(path);
  }
}
