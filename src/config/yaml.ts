/** YAML text → plain values, with the line of every key; whatever is wrong with the text is told, never thrown. */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";

export interface Yaml {
  /** What the text says; undefined when something is wrong with it. */
  value: unknown;
  /** Line of a key, or of its nearest existing parent; null for an empty text. */
  lineOf(path: readonly string[]): number | null;
  /** Scalars with a comment behind them whose # no space follows, with the keys that lead there. */
  comments: { path: string[]; text: string }[];
}

/** `problem` is told everything that is wrong, each with its line from 1 (null: none is to blame). */
export function parseYaml(text: string, problem: (line: number | null, message: string) => void): Yaml {
  const foreign = encodingProblem(text);
  if (foreign !== null) {
    problem(null, foreign);
    return { value: undefined, lineOf: () => null, comments: [] };
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, logLevel: "error" });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const lineOf = (path: readonly string[]) => {
    const at = locate(document.contents, path);
    return at === null ? null : lineAt(at);
  };
  let wrong = 0;
  const tell = (line: number | null, message: string) => {
    wrong++;
    problem(line, message);
  };
  for (const error of document.errors) {
    const start =
      error.code === "MISSING_CHAR" ? (openQuote(document, text, error.pos[0]) ?? error.pos[0]) : error.pos[0];
    tell(lineAt(start), `not valid YAML: ${sentence(error, text, lineAt(error.pos[0]) - lineAt(start))}`);
  }
  if (wrong === 0) {
    for (const { offset, message } of [...aliasProblems(document), ...mergeProblems(document)])
      tell(lineAt(offset), message);
  }
  if (wrong > 0) return { value: undefined, lineOf, comments: [] };
  try {
    return { value: document.toJS(), lineOf, comments: tightComments(document) };
  } catch (error) {
    // Aliases that multiply, and whatever else the library finds only here.
    tell(null, `not valid YAML: ${(error as Error).message}`);
    return { value: undefined, lineOf, comments: [] };
  }
}

/** A byte order mark of UTF-16 was read as UTF-8, or there are NULs: an editor saved another encoding. */
function encodingProblem(text: string): string | null {
  if (text.startsWith("\uFFFD\uFFFD") || text.includes("\0"))
    return "must be UTF-8; this looks like UTF-16 or a binary file";
  return null;
}

function sentence(error: YAMLError, text: string, span: number): string {
  if (error.code === "DUPLICATE_KEY") {
    const key = /^[^:\n]*/.exec(text.slice(error.pos[0]))?.[0].trim();
    return `the key ${key} is there a second time in this mapping`;
  }
  if (error.code === "MULTIPLE_DOCS") return "there are several documents (---) in this file; give one";
  if (error.code === "MISSING_CHAR" && span > 0) return "a quote that opens here is never closed";
  return error.message;
}

/** Where the last quoted text before `end` begins, when it spans lines: that is the quote somebody forgot to close. */
function openQuote(document: Document, text: string, end: number): number | null {
  let start: number | null = null;
  visit(document, {
    Scalar(_, node) {
      const range = node.range;
      const quoted = node.type === "QUOTE_DOUBLE" || node.type === "QUOTE_SINGLE";
      if (quoted && range && range[0] < end && text.slice(range[0], end).includes("\n")) start = range[0];
    },
  });
  return start;
}

interface At {
  offset: number;
  message: string;
}

/** `paths: *.log` is an alias to YAML, and one that nothing defines. */
function aliasProblems(document: Document): At[] {
  const found: At[] = [];
  visit(document, {
    Alias(_, node) {
      const offset = node.range?.[0] ?? 0;
      const target = node.resolve(document);
      const inside = target?.range != null && target.range[0] <= offset && offset < target.range[1];
      if (inside) found.push({ offset, message: `*${node.source} stands inside what it names; that has no end` });
      if (target) return;
      const message = `*${node.source} is an alias that nothing defines; a text that begins with * must be in quotes: "*${node.source}"`;
      found.push({ offset, message });
    },
  });
  return found;
}

/** `<<: /x`: only mappings can be merged. */
function mergeProblems(document: Document): At[] {
  const found: At[] = [];
  visit(document, {
    Pair(_, pair: Pair) {
      if (!isScalar(pair.key) || pair.key.type !== "PLAIN" || pair.key.source !== "<<") return;
      const source = isAlias(pair.value) ? pair.value.resolve(document) : (pair.value as Node | null);
      const items = source && "items" in source && !isMap(source) ? (source.items as unknown[]) : [source];
      const mapping = (item: unknown) => isMap(isAlias(item) ? item.resolve(document) : item);
      if (items.every(mapping)) return;
      const message =
        '"<<" merges other mappings into this one (an alias like *defaults, or a list of them); for a key of that name write "<<" in quotes';
      found.push({ offset: (pair.key as Node).range?.[0] ?? 0, message });
    },
  });
  return found;
}

function tightComments(document: Document): Yaml["comments"] {
  const found: Yaml["comments"] = [];
  visit(document, {
    Scalar(_, node, ancestors) {
      const text = node.comment?.split("\n")[0];
      if (node.type !== "PLAIN" || !text || /^\s/.test(text)) return;
      const path = ancestors.flatMap((one) => (isPair(one) && isScalar(one.key) ? [String(one.key.value)] : []));
      found.push({ path, text: `#${text}` });
    },
  });
  return found;
}

/** Position in the text of the last key of `path` that exists. */
function locate(contents: unknown, path: readonly string[]): number | null {
  let node = contents as Node | null;
  let at = node?.range?.[0] ?? null;
  for (const name of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === name);
    if (!pair) break;
    at = (pair.key as Node).range?.[0] ?? at;
    node = pair.value as Node | null;
  }
  return at;
}
