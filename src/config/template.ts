/** Templates of keys and headers: text with `{field}` placeholders; `{{` and `}}` stand for single braces. */
import { LogagentError } from "../errors.ts";
import { nearest } from "./suggest.ts";

export const templateFields = ["input", "path", "file", "host", "offset", "line_number"] as const;
export type TemplateField = (typeof templateFields)[number];

/** Text, or the field whose value goes there. */
export type TemplatePart = string | { field: TemplateField };

/** `"web-{file}"` → `["web-", { field: "file" }]`. Throws LogagentError USAGE for an unknown field or a stray brace. */
export function parseTemplate(text: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let literal = "";
  for (const token of text.match(/\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]/g) ?? []) {
    if (token === "{{" || token === "}}") {
      literal += token[0];
    } else if (token === "{" || token === "}") {
      throw new LogagentError(
        "USAGE",
        `the template "${text}" has a stray ${token}; write ${token}${token} for a brace`,
      );
    } else if (token[0] === "{") {
      if (literal) parts.push(literal);
      literal = "";
      parts.push({ field: fieldOf(token, text) });
    } else {
      literal += token;
    }
  }
  if (literal || parts.length === 0) parts.push(literal);
  return parts;
}

function fieldOf(token: string, text: string): TemplateField {
  const name = token.slice(1, -1);
  const field = templateFields.find((known) => known === name);
  if (field) return field;
  const hint = nearest(name, templateFields);
  const known = hint ? `Did you mean {${hint}}?` : `There are ${templateFields.map((f) => `{${f}}`).join(" ")}.`;
  throw new LogagentError("USAGE", `the template "${text}" names the unknown field ${token}. ${known}`);
}
