/**
 * The file system as one input may open it. A name can lead elsewhere a moment after it was looked at, so what was opened
 * decides: opened without following a link at its last name, then asked where it really lies and whose it is.
 */
import type { DirEntry, Fs, LinkStat, Stat } from "./fs.ts";
import { errorCode } from "./fs.ts";
import { type LinkAnswer, LinkRefused, type LinkRequest, type LinkRule, type Trace } from "./link-rule.ts";
import type { Traits } from "./mounts.ts";
import { directoryOf, inside } from "./rotated-names.ts";

/** The real path of `path` if no link follows its base, whose real path is `real`. */
function behind(path: string, base: string, real: string): string {
  if (base === "/") return path;
  return inside(real) + (base === "." ? path.replace(/^\.\//, "") : path.slice(inside(base).length));
}

export class CheckedFs implements Fs {
  readonly #fs: Fs;
  readonly #rule: LinkRule;
  /** Real paths of bases, as they were when they were last needed. */
  readonly #bases = new Map<string, string>();

  constructor(fs: Fs, rule: LinkRule) {
    this.#fs = fs;
    this.#rule = rule;
  }

  /**
   * Null also where the path led elsewhere while it was opened: it is looked at again. Throws LinkRefused where the path leads through a link that
   * is not followed, else as `Fs`.
   */
  open(path: string): number | null {
    if (this.#rule.isNamed(path)) return this.#fs.open(path);
    let fd: number | null;
    try {
      fd = this.#fs.open(path, true);
    } catch (error) {
      if (errorCode(error) !== "ELOOP") throw error;
      const trace = drive(this.#fs, this.#rule.trace(path));
      const stat = trace === null ? null : this.#fs.stat(trace.real);
      if (trace === null || stat === null) return null;
      this.#refuse(path, trace, stat);
      fd = this.#fs.open(path);
    }
    if (fd === null) return null;
    try {
      if (this.#isPlain(path, fd)) return fd;
      const trace = drive(this.#fs, this.#rule.trace(path));
      if (this.#decide(path, trace, trace && this.#fs.lstat(trace.real), this.#fs.fstat(fd))) return fd;
      this.#fs.close(fd);
      return null;
    } catch (error) {
      this.#fs.close(fd);
      throw error;
    }
  }

  async openLater(path: string): Promise<{ fd: number; stat: Stat } | null> {
    if (this.#rule.isNamed(path)) return this.#fs.openLater(path);
    let opened: { fd: number; stat: Stat } | null;
    try {
      opened = await this.#fs.openLater(path, true);
    } catch (error) {
      if (errorCode(error) !== "ELOOP") throw error;
      const trace = await driveLater(this.#fs, this.#rule.trace(path));
      const stat = trace === null ? null : await this.#fs.statLater(trace.real);
      if (trace === null || stat === null) return null;
      this.#refuse(path, trace, stat);
      opened = await this.#fs.openLater(path);
    }
    if (opened === null) return null;
    try {
      if (this.#isPlain(path, opened.fd)) return opened;
      const trace = await driveLater(this.#fs, this.#rule.trace(path));
      if (this.#decide(path, trace, trace && (await this.#fs.lstatLater(trace.real)), opened.stat)) return opened;
      this.#fs.close(opened.fd);
      return null;
    } catch (error) {
      this.#fs.close(opened.fd);
      throw error;
    }
  }

  /** Lies what was opened where its path says, so that there was no link? The common case, for one cheap call. */
  #isPlain(path: string, fd: number): boolean {
    const at = this.#fs.pathOf(fd)?.replace(/ \(deleted\)$/, "");
    if (at === undefined || this.#rule.forbidden(path, at) !== null) return false;
    const base = this.#rule.baseOf(path);
    const known = this.#bases.get(base);
    // In the same directory: it was renamed just now.
    const isThere = (real: string) => directoryOf(behind(path, base, real)) === directoryOf(at);
    if (known !== undefined && isThere(known)) return true;
    if (this.#fs.traits(path).network) return false;
    const real = this.#fs.realpath(base);
    if (real === null) return false;
    this.#bases.set(base, real);
    return isThere(real);
  }

  /** False: what was opened is not what the path leads to now. */
  #decide(path: string, trace: Trace | null, found: LinkStat | null, opened: Stat): trace is Trace {
    if (trace === null || found === null || found.dev !== opened.dev || found.ino !== opened.ino) return false;
    this.#refuse(path, trace, opened);
    return true;
  }

  #refuse(path: string, trace: Trace, stat: Stat): void {
    const refusal = this.#rule.refusal(path, trace, stat);
    if (refusal !== null) throw new LinkRefused(refusal);
  }

  stat(path: string): Stat | null {
    return this.#fs.stat(path);
  }
  statLater(path: string): Promise<Stat | null> {
    return this.#fs.statLater(path);
  }
  fstat(fd: number): Stat {
    return this.#fs.fstat(fd);
  }
  close(fd: number): void {
    this.#fs.close(fd);
  }
  read(fd: number, target: Uint8Array, offset: number, length: number, position: number | null): number {
    return this.#fs.read(fd, target, offset, length, position);
  }
  readLater(path: string, fd: number, length: number, position: number): Promise<Uint8Array> {
    return this.#fs.readLater(path, fd, length, position);
  }
  readdir(path: string): DirEntry[] | null {
    return this.#fs.readdir(path);
  }
  readdirLater(path: string): Promise<DirEntry[] | null> {
    return this.#fs.readdirLater(path);
  }
  lstat(path: string): LinkStat | null {
    return this.#fs.lstat(path);
  }
  lstatLater(path: string): Promise<LinkStat | null> {
    return this.#fs.lstatLater(path);
  }
  readlink(path: string): string | null {
    return this.#fs.readlink(path);
  }
  readlinkLater(path: string): Promise<string | null> {
    return this.#fs.readlinkLater(path);
  }
  realpath(path: string): string | null {
    return this.#fs.realpath(path);
  }
  realpathLater(path: string): Promise<string | null> {
    return this.#fs.realpathLater(path);
  }
  pathOf(fd: number): string | null {
    return this.#fs.pathOf(fd);
  }
  watch(directory: string, f: (name: string | null, content?: boolean) => void): (() => void) | null {
    return this.#fs.watch(directory, f);
  }
  traits(path: string): Traits {
    return this.#fs.traits(path);
  }
}

function drive<T>(fs: Fs, steps: Generator<LinkRequest, T, LinkAnswer>): T {
  let step = steps.next();
  while (!step.done) step = steps.next(fs[step.value.kind](step.value.path));
  return step.value;
}

async function driveLater<T>(fs: Fs, steps: Generator<LinkRequest, T, LinkAnswer>): Promise<T> {
  const calls = { lstat: "lstatLater", readlink: "readlinkLater", realpath: "realpathLater" } as const;
  let step = steps.next();
  while (!step.done) step = steps.next(await fs[calls[step.value.kind]](step.value.path));
  return step.value;
}
