import type { FileId, Lines, Range } from "../../lines.ts";

/** Who is told that a file is settled further. */
export interface PositionOwner {
  settled(file: FileId, position: number): void;
}

interface FilePosition {
  owner: PositionOwner;
  /** Everything before it is settled. */
  position: number;
  /** Everything before it was handed to the sink. */
  handed: number;
  /** Settled ranges behind `position` with a gap before them: from → to. Null: none so far. */
  ahead: Map<number, number> | null;
}

/**
 * How far each file is settled. A position only moves over ranges that are settled without a gap: never past a byte that
 * is still on its way.
 */
export class Positions {
  private readonly files = new Map<FileId, FilePosition>();
  /** Files of an owner with something on its way. */
  private readonly busy = new Map<PositionOwner, number>();

  /** A chunk goes to the sink. Bytes the tailer left out before it count as settled. */
  handOut(lines: Lines, owner: PositionOwner): void {
    let file = this.files.get(lines.file);
    if (file === undefined) {
      file = { owner, position: lines.base, handed: lines.base, ahead: null };
      this.files.set(lines.file, file);
    }
    if (lines.base < file.handed) {
      throw new Error(`file ${lines.file}: a chunk at ${lines.base} after one that ended at ${file.handed}`);
    }
    const wasIdle = file.position === file.handed;
    const gap = lines.base - file.handed;
    const before = file.handed;
    file.handed = lines.to;
    if (wasIdle && file.position !== file.handed) this.count(owner, 1);
    if (gap > 0) this.settle(lines.file, before, lines.base);
    // Nothing of it goes to Kafka, so nothing will be acknowledged.
    if (lines.count === 0) this.settle(lines.file, lines.base, lines.to);
  }

  /** The ranges of settled batches; those that other batches still hold parts of are left for these. */
  settleRanges(ranges: readonly Range[]): void {
    for (const range of ranges) {
      if (!range.open && range.pending === 0) this.settle(range.file, range.from, range.to);
    }
  }

  /** Bytes `[from, to)` of the file are done with. Settling twice does nothing. */
  settle(id: FileId, from: number, to: number): void {
    const file = this.files.get(id);
    if (file === undefined || to <= file.position) return;
    if (from > file.position) {
      file.ahead ??= new Map();
      file.ahead.set(from, to);
      return;
    }
    const { ahead } = file;
    file.position = to;
    for (let next = ahead?.get(to); next !== undefined; next = ahead?.get(next)) {
      ahead?.delete(file.position);
      file.position = next;
    }
    if (file.position === file.handed) this.count(file.owner, -1);
    file.owner.settled(id, file.position);
  }

  /** True when nothing of the owner's files is on its way. */
  isIdle(owner: PositionOwner): boolean {
    return (this.busy.get(owner) ?? 0) === 0;
  }

  get allIdle(): boolean {
    return this.busy.size === 0;
  }

  /** Forgets files that `isKnown` denies; the rest of one that comes back counts from where it goes on. */
  prune(owner: PositionOwner, isKnown: (id: FileId) => boolean): FileId[] {
    const gone = [...this.files].filter(
      ([id, file]) => file.owner === owner && file.position === file.handed && !isKnown(id),
    );
    for (const [id] of gone) this.files.delete(id);
    return gone.map(([id]) => id);
  }

  forgetOwner(owner: PositionOwner): void {
    for (const [id, file] of this.files) if (file.owner === owner) this.files.delete(id);
    this.busy.delete(owner);
  }

  private count(owner: PositionOwner, by: number): void {
    const now = (this.busy.get(owner) ?? 0) + by;
    if (now === 0) this.busy.delete(owner);
    else this.busy.set(owner, now);
  }
}
