/** Regular expressions on key, value and headers; every one that is given must match. Nulls match nothing. */
import { LogagentError } from "../errors.ts";
import type { RecordBlock } from "../kafka/record/record-set-reader.ts";

export interface FilterOptions {
  key: readonly string[];
  value: readonly string[];
  /** `NAME=REGEX`, or `NAME` alone: the header is there. */
  header: readonly string[];
}

export type RecordFilter = (block: RecordBlock, i: number) => boolean;

/** Null when nothing is filtered. Throws LogagentError USAGE on a pattern that is not a regular expression. */
export function compileFilter(options: FilterOptions): RecordFilter | null {
  const keys = options.key.map((pattern) => expression("--filter-key", pattern));
  const values = options.value.map((pattern) => expression("--filter-value", pattern));
  const headers = options.header.map(headerTest);
  if (keys.length + values.length + headers.length === 0) return null;
  return (block, i) =>
    matches(keys, () => block.key(i)) &&
    matches(values, () => block.value(i)) &&
    (headers.length === 0 || allHeaders(block, i, headers));
}

function matches(patterns: readonly RegExp[], bytes: () => Buffer | null): boolean {
  if (patterns.length === 0) return true;
  const text = bytes()?.toString("utf8");
  return text !== undefined && patterns.every((pattern) => pattern.test(text));
}

type HeaderTest = { name: string; pattern: RegExp | null };

function allHeaders(block: RecordBlock, i: number, tests: readonly HeaderTest[]): boolean {
  const headers = block.headers(i).map(({ name, value }) => ({ name: name.toString("utf8"), value }));
  return tests.every(({ name, pattern }) =>
    headers.some(
      (header) =>
        header.name === name &&
        (pattern === null || (header.value !== null && pattern.test(header.value.toString("utf8")))),
    ),
  );
}

function headerTest(text: string): HeaderTest {
  const at = text.indexOf("=");
  if (at < 0) return { name: text, pattern: null };
  return { name: text.slice(0, at), pattern: expression("--filter-header", text.slice(at + 1)) };
}

function expression(flag: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern, "u");
  } catch (error) {
    throw new LogagentError("USAGE", `reading ${flag} "${pattern}": ${(error as Error).message}`, error);
  }
}
