import { crc32 } from "node:zlib";
import { isCheckpoint, isCount, isHeader } from "./entry-shape.ts";
import type { Checkpoint, Header } from "./types.ts";

/** Format of the journal this program reads and writes. */
export const formatVersion = 1;

export type Entry =
  | { type: "header"; header: Header }
  | { type: "checkpoint"; checkpoint: Checkpoint }
  | { type: "confirmed"; n: number };

/**
 * One line of the journal: JSON whose last property is the CRC-32 (zlib, 8 hex digits) of the JSON text without that
 * property. Ends with `\n`.
 */
export function encodeEntry(entry: Entry): string {
  const text = JSON.stringify(plain(entry));
  return `${text.slice(0, -1)},"crc":"${checksum(text)}"}\n`;
}

function plain(entry: Entry): object {
  if (entry.type === "header") return { logagent: formatVersion, ...entry.header };
  return entry.type === "checkpoint" ? entry.checkpoint : { confirmed: entry.n };
}

/**
 * Reads one line without its `\n`; null when it is not a whole, undamaged line that this program could have written: a
 * checksum is no signature. Throws `OtherVersionError`.
 */
export function decodeEntry(line: string): Entry | null {
  const match = /,"crc":"([0-9a-f]{8})"\}$/.exec(line);
  if (match === null) return null;
  const text = `${line.slice(0, match.index)}}`;
  if (checksum(text) !== match[1]) return null;
  const value = parseObject(text);
  if (value === null) return null;
  if ("logagent" in value) {
    const { logagent: version, ...header } = value;
    if (version !== formatVersion) throw new OtherVersionError(version);
    return isHeader(header) ? { type: "header", header } : null;
  }
  if ("n" in value) return isCheckpoint(value) ? { type: "checkpoint", checkpoint: value } : null;
  return isCount(value.confirmed) ? { type: "confirmed", n: value.confirmed } : null;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** The journal was written by another version of the format. */
export class OtherVersionError extends Error {
  override readonly name = "OtherVersionError";

  constructor(version: unknown) {
    super(`format version ${String(version)}, this program knows version ${formatVersion}`);
  }
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
