/** Globs: `*` and `?` within a name, `[…]` and `[!…]`, `{a,b}`, and `**` for any number of directories. */

export interface Glob {
  /** The longest directory that has no magic in it; relative as typed. */
  root: string;
  /** One per name below the root: a fixed name, a pattern, or "**". */
  segments: (string | RegExp)[];
}

/** True if the path needs matching at all. */
export function hasMagic(path: string): boolean {
  return /[*?[{]/.test(path);
}

/**
 * Is it a pattern? A name with brackets or braces that exists is that file, as a shell hands it over; with `*` or `?` it
 * is a pattern all the same, and matches a file so named too.
 */
export function isPattern(path: string, exists: (path: string) => boolean): boolean {
  return hasMagic(path) && (/[*?]/.test(path) || !exists(path));
}

/** Parses one pattern; braces may contain slashes, so that one pattern can give several globs. */
export function parseGlob(pattern: string): Glob[] {
  return expandBraces(pattern).map((one) => {
    const names = one.split("/");
    const fixed: string[] = [];
    while (names.length > 1 && !hasMagic(names[0]!)) fixed.push(names.shift()!);
    const root = fixed.length === 0 ? "." : fixed.length === 1 && fixed[0] === "" ? "/" : fixed.join("/");
    const segments = names
      .filter((name) => name !== "")
      .map((name) => (name === "**" || !hasMagic(name) ? name : nameRegex(name)));
    return { root, segments };
  });
}

/** A whole path against the patterns it would be found by. */
export function foundBy(patterns: readonly string[]): (path: string) => boolean {
  const regexes = patterns.flatMap(expandBraces).map((pattern) => pathRegex(pattern.replace(/^\.\//, ""), true));
  return (path) => regexes.some((regex) => regex.test(path.replace(/^\.\//, "")));
}

/** A whole path against a pattern, for excludes. A pattern without a slash is matched against the last name. */
export function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const tests = patterns.flatMap(expandBraces).map((pattern) => {
    const regex = pathRegex(pattern.replace(/^\.\//, ""));
    return pattern.includes("/")
      ? (path: string) => regex.test(path)
      : (path: string) => regex.test(path.slice(path.lastIndexOf("/") + 1));
  });
  return (path) => tests.some((test) => test(path));
}

/** Does the name match one segment; a leading dot must be matched by a dot. */
export function matchName(segment: string | RegExp, name: string): boolean {
  return typeof segment === "string" ? segment === name : segment.test(name);
}

function nameRegex(pattern: string): RegExp {
  const guard = pattern.startsWith(".") ? "" : "(?!\\.)";
  return new RegExp(`^${guard}${translate(pattern)}$`, "s");
}

function pathRegex(pattern: string, guarded = false): RegExp {
  const parts = pattern
    .split("/")
    .map((name) =>
      name === "**" ? null : (guarded && hasMagic(name) && !name.startsWith(".") ? "(?!\\.)" : "") + translate(name),
    );
  let source = "";
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    const last = i === parts.length - 1;
    const directory = guarded ? "(?!\\.)[^/]+/" : "[^/]+/";
    if (part === null) source += last ? `(?:${directory})*${guarded ? "(?!\\.)" : ""}[^/]*` : `(?:${directory})*`;
    else source += part + (last ? "" : "/");
  }
  return new RegExp(`^${source}$`, "s");
}

function translate(name: string): string {
  let out = "";
  for (let i = 0; i < name.length; i++) {
    const c = name[i]!;
    if (c === "*") out += "[^/]*";
    else if (c === "?") out += "[^/]";
    else if (c === "[") {
      const close = name.indexOf("]", i + (name[i + 1] === "!" || name[i + 1] === "^" ? 3 : 2));
      if (close < 0) out += "\\[";
      else {
        const body = name
          .slice(i + 1, close)
          .replace(/^[!^]/, "^")
          .replace(/[\\[\]]/g, "\\$&");
        out += `[${body}]`;
        i = close;
      }
    } else if (c === "\\" && i + 1 < name.length) out += quote(name[++i]!);
    else out += quote(c);
  }
  return out;
}

const quote = (c: string) => c.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf("{");
  if (open < 0) return [pattern];
  const parts: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let i = open; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "{") depth++;
    else if (c === "," && depth === 1) {
      parts.push(pattern.slice(from, i));
      from = i + 1;
    } else if (c === "}" && --depth === 0) {
      parts.push(pattern.slice(from, i));
      const head = pattern.slice(0, open);
      const tail = pattern.slice(i + 1);
      return parts.flatMap((part) => expandBraces(head + part + tail));
    }
  }
  return [pattern];
}
