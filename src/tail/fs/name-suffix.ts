/**
 * What rotation puts behind a name, found in one pass from its end. Names come from whoever may write into the directory: a
 * regular expression with a repeated group takes exponential time on some of them.
 */

/** Offsets behind a unit that starts at `at`, as a range of candidates [from, to]; null: none starts there. */
type Unit = (name: string, at: number) => { from: number; to: number } | null;

const separators = "._-";

/** The name without the longest run of units at its end; the name itself where nothing would be left. */
export function withoutSuffix(name: string, units: readonly Unit[]): string {
  const { length } = name;
  // next[i]: the least offset from i on from where the rest of the name is units alone.
  const next = new Uint32Array(length + 2).fill(length + 1);
  next[length] = length;
  let cut = length;
  for (let at = length - 1; at >= 0; at--) {
    next[at] = next[at + 1] as number;
    for (const unit of units) {
      const end = unit(name, at);
      if (end === null || (next[end.from] as number) > end.to) continue;
      next[at] = at;
      cut = at;
      break;
    }
  }
  return cut === 0 ? name : name.slice(0, cut);
}

/** ".old", "-bak", …: one of `marks` and one of `words`. */
export function word(marks: string, words: readonly string[]): Unit {
  return (name, at) => {
    if (!marks.includes(name[at] as string)) return null;
    const found = words.find((text) => name.startsWith(text, at + 1));
    return found === undefined ? null : exactly(at + 1 + found.length);
  };
}

/** "~". */
export const tilde: Unit = (name, at) => (name[at] === "~" ? exactly(at + 1) : null);

/** ".17" */
export const dotNumber: Unit = (name, at) => {
  if (name[at] !== "." || !isDigit(name.charCodeAt(at + 1))) return null;
  return { from: at + 2, to: runEnd(name, at + 1, isDigit) };
};

/** A separator and a number or a time: "-20260101", ".2026-01-01T10:00:00", "_7.2". */
export const stamp: Unit = (name, at) => {
  if (!separators.includes(name[at] as string) || !isDigit(name.charCodeAt(at + 1))) return null;
  return { from: at + 2, to: runEnd(name, at + 2, isStampCharacter) };
};

/** A separator and a date with year and month at least: "-202601", ".2026-01-01". */
export const date: Unit = (name, at) => {
  if (!separators.includes(name[at] as string)) return null;
  const head = /^\d{4}[-._]?\d\d/.exec(name.slice(at + 1, at + 8))?.[0].length;
  if (head === undefined) return null;
  return { from: at + 1 + head, to: runEnd(name, at + 1 + head, isStampCharacter) };
};

function exactly(end: number): { from: number; to: number } {
  return { from: end, to: end };
}

function runEnd(name: string, from: number, accepts: (code: number) => boolean): number {
  let at = from;
  while (at < name.length && accepts(name.charCodeAt(at))) at++;
  return at;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isStampCharacter(code: number): boolean {
  return isDigit(code) || "TZ:._+-".includes(String.fromCharCode(code));
}
