/**
 * Compaction: write `PATH.new`, fsync it, link the old journal to `PATH.1`, rename the new one over `PATH`, fsync the
 * directory. A crash at any point leaves either the old or the new journal whole under `PATH`.
 */
import { dirname } from "node:path";
import type { JournalFs } from "./files.ts";
import { encodeEntry } from "./line.ts";
import type { Checkpoint, FileState, Header } from "./types.ts";

/** What the next journal says. */
export interface JournalContent {
  header: Header;
  state: Map<string, FileState>;
  confirmed: number;
  unconfirmed: Checkpoint[];
  highest: number;
}

/**
 * Replaces the journal by a new one with this content. `keepAs`: name under which the old one stays.
 * The new file is open for appending at `size`.
 */
export async function replaceJournal(fs: JournalFs, path: string, content: JournalContent, keepAs: string | null) {
  const temporary = `${path}.new`;
  const { confirmed, state, unconfirmed } = content;
  let text = encodeEntry({ type: "header", header: content.header });
  const whole: Checkpoint = { n: confirmed, base: 0, full: true, confirmed: true, files: [...state.values()] };
  if (confirmed > 0) text += encodeEntry({ type: "checkpoint", checkpoint: whole });
  for (const checkpoint of unconfirmed) text += encodeEntry({ type: "checkpoint", checkpoint });
  const bytes = Buffer.from(text);
  const file = await fs.open(temporary, true);
  try {
    await file.write(bytes, 0);
    await file.sync();
    if (keepAs !== null) {
      await fs.unlink(keepAs);
      await fs.link(path, keepAs);
    }
    await fs.rename(temporary, path);
    await fs.syncDirectory(dirname(path));
  } catch (error) {
    await file.close().catch(() => {});
    await fs.unlink(temporary).catch(() => {});
    throw error;
  }
  return { file, size: bytes.length };
}
