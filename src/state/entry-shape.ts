/** What a line of the journal must look like before it is believed. Fields that this version does not know are kept. */
import type { Checkpoint, ContentHash, FileState, Header } from "./types.ts";

type Unknown<T> = { readonly [Key in keyof T]?: unknown };

/** Milliseconds on either side of the epoch that a date can hold. */
const latest = 8.64e15;

/** A whole number from 0 that JSON keeps exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

export function isHeader(value: Unknown<Header>): value is Header {
  const { agent, machine, cluster, topics, nonces = [] } = value;
  return isText(agent) && isTextOrNull(machine) && isTextOrNull(cluster) && isTexts(topics) && isTexts(nonces);
}

/** Also that it builds on an older one: a chain of bases ends. */
export function isCheckpoint(value: Unknown<Checkpoint>): value is Checkpoint {
  const { n, base, files, removed = [] } = value;
  if (!isCount(n) || !isCount(base) || base >= n) return false;
  return Array.isArray(files) && files.every(isFileState) && Array.isArray(removed) && isTexts(removed);
}

function isFileState(value: Unknown<FileState> | null): value is FileState {
  if (typeof value !== "object" || value === null) return false;
  const { key, input, path, dev, ino, birth, position, line, fingerprint, marker, seen, size = 0 } = value;
  return (
    [key, input, path].every(isText) &&
    typeof dev === "number" &&
    [ino, birth].every((field) => isText(field) && /^-?\d+$/.test(field)) &&
    isCount(position) &&
    isCount(line) &&
    isCount(size) &&
    isHash(fingerprint) &&
    (marker === null || isHash(marker)) &&
    typeof seen === "number" &&
    Math.abs(seen) <= latest
  );
}

function isHash(value: unknown): value is ContentHash {
  if (typeof value !== "object" || value === null) return false;
  const { from, length, hash } = value as Unknown<ContentHash>;
  return isCount(from) && isCount(length) && isText(hash);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isTexts(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(isText);
}
