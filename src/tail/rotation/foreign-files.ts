/** Files that another input sends to the same topic: each belongs to the input that followed it first. */
import type { Stat } from "../fs/fs.ts";
import { tryStat } from "../fs/rotated-names.ts";
import { inodeKey, sameFile } from "../identity/identity.ts";
import type { Context } from "./context.ts";
import { follow } from "./follow.ts";

/** Who has a file, and the position behind what was handed out of it, also later. */
export interface Holder {
  input: string;
  position(): number;
  /** That input looked at it; else it is only expected to follow it, once it has begun. */
  certain: boolean;
}

/** What the inputs of one topic tell each other. */
export interface FileClaims {
  /** This input has a file with that inode (`inodeKey`). */
  claim(inode: string): void;
  /** Does another one know a file with that inode? */
  isKnown(inode: string): boolean;
  /** Which other one has it. */
  find(path: string, stat: Stat): Holder | null;
}

/** Of an input that is alone. */
export const noClaims: FileClaims = { claim: () => {}, isKnown: () => false, find: () => null };

export class ForeignFiles {
  readonly #context: Context;
  readonly #claims: FileClaims;
  readonly #paths = new Map<string, { stat: Stat; holder: Holder }>();

  constructor(context: Context, claims: FileClaims) {
    this.#context = context;
    this.#claims = claims;
  }

  get any(): boolean {
    return this.#paths.size > 0;
  }

  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Does what the path holds belong to another input? */
  take(path: string, stat: Stat, level: "warn" | "debug"): boolean {
    const holder = stat.kind === "file" ? this.#claims.find(path, stat) : null;
    if (holder === null) return false;
    this.#paths.set(path, { stat, holder });
    const reason = `the input ${holder.input} follows it, to the same topic`;
    this.#context.troubles.met(
      { name: "file-elsewhere", what: "not following", path, reason, kind: "another input follows them", level },
      this.#context.clock.monotonic(),
    );
    return true;
  }

  /** Looks whether they still are another input's. What none has any more is gone on with where that one ended. */
  review(where: "local" | "network"): void {
    const { fs, registry } = this.#context;
    for (const [path, known] of this.#paths) {
      const { network, stable } = fs.traits(path);
      if (network !== (where === "network")) continue;
      const stat = tryStat(fs, path);
      if (stat === undefined) continue;
      const same = stat !== null && sameFile(stat, known.stat, stable);
      const unchanged = same && stat.mtime === known.stat.mtime && stat.size === known.stat.size;
      if (unchanged && known.holder.certain && this.#claims.isKnown(inodeKey(stat))) continue;
      const holder = same ? this.#claims.find(path, stat) : null;
      if (holder !== null) this.#paths.set(path, { stat: stat!, holder });
      else {
        this.#paths.delete(path);
        this.#context.troubles.over(path);
        registry.unlearned++;
        // The walk finds it where it was none of that input's.
        if (!same || registry.byPath.has(path) || !known.holder.certain) continue;
        follow(this.#context, path, { after: null, attached: true, from: false, position: known.holder.position() });
      }
    }
  }
}
