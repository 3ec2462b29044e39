/** Files that several inputs match: in one topic their lines must not come twice. */
import type { InputConfig } from "../../config/types.ts";
import type { Log } from "../../observe/log.ts";
import type { FileState } from "../../state/types.ts";
import { identityOf, inodeKey, sameFile } from "../../tail/identity/identity.ts";
import type { FileClaims } from "../../tail/rotation/foreign-files.ts";
import type { Tailer } from "../../tail/types.ts";
import type { Input } from "./input.ts";

type Run = Pick<Input, "config" | "tailer">;

/** Of one run of an input. */
interface Owner {
  name: string;
  /** Null before it began and after it ended. */
  tailer: Tailer | null;
  /** By inode: what it will follow once it has begun. */
  expected: ReadonlyMap<string, FileState>;
}

/** Entries above which those that no tailer knows any more are removed. */
const firstSweep = 20_000;

/** Which runs of which inputs have a file, by topic. */
export class FileOwners {
  readonly #owners = new Map<string, Owner[]>();
  /** By name: inputs that have not begun. */
  readonly #expected = new Map<string, Owner>();
  #sweepAt = firstSweep;

  /** What inputs will follow that have not begun yet: those that begin before them leave it to them. `states`: of an input. */
  expect(configs: readonly InputConfig[], states: (input: string) => readonly FileState[]): void {
    for (const { name, topic } of configs) {
      const expected = new Map(
        states(name).map((state) => [inodeKey({ dev: state.dev, ino: BigInt(state.ino) }), state]),
      );
      const owner: Owner = { name, tailer: null, expected };
      this.#expected.set(name, owner);
      for (const inode of expected.keys()) this.#claim(`${topic} ${inode}`, owner);
    }
  }

  /** What a tailer of a run of `config`, which begins now, needs; `owner.tailer` is to be set while it runs. */
  of({ name, topic }: InputConfig): { owner: Owner; claims: FileClaims } {
    const owner: Owner = { name, tailer: null, expected: new Map() };
    const before = this.#expected.get(name);
    if (before) before.expected = new Map();
    this.#expected.delete(name);
    const others = (inode: string) =>
      (this.#owners.get(`${topic} ${inode}`) ?? []).filter((other) => other.name !== name);
    const claims: FileClaims = {
      claim: (inode) => this.#claim(`${topic} ${inode}`, owner),
      isKnown: (inode) => others(inode).some(({ tailer }) => tailer?.knows?.(inode)),
      find(path, stat) {
        const inode = inodeKey(stat);
        for (const { name: input, tailer, expected } of others(inode)) {
          const position = tailer?.holding?.(path, stat) ?? null;
          if (position !== null) return { input, position, certain: true };
          const state = expected.get(inode);
          if (state && sameFile(identityOf(state), stat, true))
            return { input, position: () => state.position, certain: false };
        }
        return null;
      },
    };
    return { owner, claims };
  }

  #claim(key: string, owner: Owner): void {
    const owners = this.#owners.get(key);
    if (owners?.includes(owner)) return;
    this.#owners.set(key, [...(owners ?? []).filter(isOwner), owner]);
    if (this.#owners.size > this.#sweepAt) this.#sweep();
  }

  #sweep(): void {
    for (const [key, owners] of this.#owners) {
      const inode = key.slice(key.indexOf(" ") + 1);
      const left = owners.filter(({ tailer, expected }) => tailer?.knows?.(inode) || expected.size > 0);
      if (left.length === 0) this.#owners.delete(key);
      else if (left.length < owners.length) this.#owners.set(key, left);
    }
    this.#sweepAt = Math.max(firstSweep, 2 * this.#owners.size);
  }
}

function isOwner({ tailer, expected }: Owner): boolean {
  return tailer !== null || expected.size > 0;
}

/** Says of which inputs the files go to several topics: that may be meant. */
export function sayShared(inputs: readonly Run[], log: Log): void {
  const first = new Map<string, Run>();
  const pairs = new Map<string, { files: number; path: string; topics: string }>();
  for (const input of inputs)
    for (const { inode, path } of input.tailer.files()) {
      const other = inode === undefined ? undefined : first.get(inode);
      if (inode !== undefined && !other) first.set(inode, input);
      if (!other || other === input) continue;
      const names = `${other.config.name}, ${input.config.name}`;
      const topics = `${other.config.topic}, ${input.config.topic}`;
      const pair = pairs.get(names) ?? { files: 0, path, topics };
      pairs.set(names, { ...pair, files: pair.files + 1 });
    }
  for (const [names, { files, path, topics }] of pairs)
    log.warn("several inputs follow the same files: each sends their lines to its own topic", {
      inputs: names,
      topics,
      files,
      path,
    });
}
