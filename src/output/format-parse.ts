import { LogagentError } from "../errors.ts";

export interface FormatVerb {
  verb: string;
  /** What stands in braces behind it; null when there are none. */
  argument: string | null;
}

/** Splits a format into literals (escapes untouched, `%%` resolved) and verbs. Throws LogagentError USAGE. */
export function parseFormat(format: string): (string | FormatVerb)[] {
  const parts: (string | FormatVerb)[] = [];
  let literal = "";
  for (let at = 0; at < format.length; at++) {
    const char = format[at] as string;
    if (char !== "%") {
      literal += char;
      continue;
    }
    const verb = format[++at];
    if (verb === undefined) {
      throw new LogagentError("USAGE", `reading format "${format}": it ends with a single %; a percent sign is %%`);
    }
    if (verb === "%" || verb === "{" || verb === "}") {
      literal += verb;
      continue;
    }
    if (literal !== "") parts.push(literal);
    literal = "";
    let argument: string | null = null;
    if (format[at + 1] === "{") {
      const end = closingBrace(format, at + 1);
      argument = format.slice(at + 2, end);
      at = end;
    }
    parts.push({ verb, argument });
  }
  if (literal !== "") parts.push(literal);
  return parts;
}

function closingBrace(format: string, open: number): number {
  let depth = 0;
  for (let at = open; at < format.length; at++) {
    if (format[at] === "%" && (format[at + 1] === "{" || format[at + 1] === "}")) at++;
    else if (format[at] === "{") depth++;
    else if (format[at] === "}" && --depth === 0) return at;
  }
  throw new LogagentError("USAGE", `reading format "${format}": the brace at character ${open + 1} is not closed`);
}
