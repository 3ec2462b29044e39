/** What a walk finds. */
import type { Stat } from "../fs/fs.ts";

export interface Found {
  path: string;
  stat: Stat;
  /** The path was given without magic: FIFOs are read only then. */
  named: boolean;
}

/** Is it something to be read? */
export function isLog({ kind }: Stat, named: boolean): boolean {
  return kind === "file" || (named && kind === "fifo");
}
