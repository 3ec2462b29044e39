/** The paths of an input as typed: which are patterns, and where links are followed. */
import type { Fs } from "../fs/fs.ts";
import { LinkRule, type LinkRuleOptions } from "../fs/link-rule.ts";
import { tryStat } from "../fs/rotated-names.ts";
import { isPattern, parseGlob } from "./glob.ts";

/** The rule of links for these paths and globs; `options` as it is by default. */
export function linkRule(
  fs: Fs,
  paths: readonly string[],
  options: Partial<Pick<LinkRuleOptions, "follow" | "own" | "uid">> = {},
): LinkRule {
  const { named, patterns } = splitPaths(fs, paths);
  const roots = patterns.flatMap((path) => parseGlob(path).map(({ root }) => root));
  return new LinkRule(fs, { follow: "safe", own: [], uid: process.getuid?.() ?? 0, ...options, named, roots });
}

/** Which of the paths are patterns. */
export function splitPaths(fs: Fs, paths: readonly string[]): { named: string[]; patterns: string[] } {
  const exists = (path: string) => !fs.traits(path).network && Boolean(tryStat(fs, path));
  const patterns = new Set(paths.filter((path) => isPattern(path, exists)));
  return { named: paths.filter((path) => !patterns.has(path)), patterns: [...patterns] };
}
