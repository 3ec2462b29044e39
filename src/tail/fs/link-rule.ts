/**
 * Which symbolic links inside a glob are followed. Whoever may write into a watched directory may put links there, and an
 * agent with more rights than he has must not read for him what he cannot read himself. So a link counts for what its owner
 * could have put there without it: files of his own. (The kernel's `protected_symlinks` has the same idea.)
 */
import type { Fs, LinkStat, Stat } from "./fs.ts";
import { directoryOf, inside, nameOf } from "./rotated-names.ts";

/** all: whoever made them; safe: by the rule above; none. What the user named is followed in any case. */
export type FollowLinks = "all" | "safe" | "none";

/** A call of the file system that a trace needs next. */
export type LinkRequest = { kind: "lstat" | "readlink" | "realpath"; path: string };
export type LinkAnswer = LinkStat | string | null;

/** Where a path leads without links, and the links on the way, all but those of its base. */
export interface Trace {
  real: string;
  links: { path: string; uid: number }[];
}

/** As the kernel. */
const mostLinks = 40;
const virtualPlaces = ["/proc", "/sys", "/dev"];

/** Thrown where a path leads through a link that is not followed. */
export class LinkRefused extends Error {
  readonly code = "ELINK";
}

export interface LinkRuleOptions {
  follow: FollowLinks;
  /** Paths as the user typed them, without magic. */
  named: readonly string[];
  /** Where globs begin, as typed. */
  roots: readonly string[];
  /** Absolute paths of the agent's own state: neither they nor what is named for them is followed inside a glob. */
  own: readonly string[];
  /** The agent's user: whoever can make links as that user can read all that the agent can. */
  uid: number;
}

export class LinkRule {
  readonly #options: LinkRuleOptions;
  readonly #named: ReadonlySet<string>;
  /** The longest first. */
  readonly #bases: readonly string[];
  readonly #fs: Pick<Fs, "traits">;

  constructor(fs: Pick<Fs, "traits">, options: LinkRuleOptions) {
    this.#fs = fs;
    this.#options = options;
    this.#named = new Set(options.named);
    const bases = new Set([...options.roots, ...options.named.map(directoryOf)]);
    this.#bases = [...bases].sort((a, b) => b.length - a.length);
  }

  /** Did the user name this very path? */
  isNamed(path: string): boolean {
    return this.#named.has(path);
  }

  /** The beginning of `path` that the user typed; "/" or "." where it has none. */
  baseOf(path: string): string {
    for (const base of this.#bases) if (path === base || path.startsWith(inside(base))) return base;
    return path.startsWith("/") ? "/" : ".";
  }

  /** Follows a path, link by link. Null: it leads nowhere. */
  *trace(path: string): Generator<LinkRequest, Trace | null, LinkAnswer> {
    const base = this.baseOf(path);
    const from = (yield { kind: "realpath", path: base }) as string | null;
    if (from === null) return null;
    let real: string = from;
    const names = split(path.slice(base === "." && !path.startsWith("./") ? 0 : base.length));
    const links: Trace["links"] = [];
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (name === "..") {
        real = directoryOf(real);
        continue;
      }
      const next: string = inside(real) + name;
      const stat = (yield { kind: "lstat", path: next }) as LinkStat | null;
      if (stat === null) return null;
      if (stat.kind !== "link") {
        real = next;
        continue;
      }
      links.push({ path: next, uid: stat.uid });
      const target = (yield { kind: "readlink", path: next }) as string | null;
      if (target === null || links.length > mostLinks) return null;
      if (target.startsWith("/")) real = "/";
      names.unshift(...split(target));
    }
    return { real, links };
  }

  /** Why what `path` leads to, owned by `uid`, is not to be followed; null: it is. */
  refusal(path: string, { real, links }: Trace, { uid }: Pick<Stat, "uid">): string | null {
    const { follow } = this.#options;
    if (this.isNamed(path)) return null;
    const place = this.forbidden(path, real);
    if (place !== null) return place;
    if (links.length === 0 || follow === "all") return null;
    if (follow === "none") return `${links[0]!.path} is a link, and none is followed`;
    const foreign = links.find((link) => link.uid !== 0 && link.uid !== this.#options.uid && link.uid !== uid);
    if (!foreign) return null;
    const link = nameOf(foreign.path) === nameOf(path) ? "it" : foreign.path;
    return `${link} is a link of user ${foreign.uid} to ${real}, which belongs to user ${uid}`;
  }

  /** Why nothing at `real` is followed, wherever a link to it comes from; null: nothing speaks against it. */
  forbidden(path: string, real: string): string | null {
    if (this.#options.own.some((own) => real === own || real.startsWith(`${own}.`)))
      return `${real} is the agent's own state`;
    const base = this.baseOf(path);
    for (const place of virtualPlaces)
      if (isIn(real, place) && !isIn(base, place)) return `${real} is in ${place}, where no files are followed`;
    if (this.#fs.traits(real).virtual && !this.#fs.traits(inside(base)).virtual)
      return `${real} is on a file system of the kernel's`;
    return null;
  }
}

function isIn(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}

const split = (path: string) => path.split("/").filter((name) => name !== "" && name !== ".");
