import { parseTemplate, type TemplateField } from "../../config/template.ts";

/** What the placeholders of a template stand for; `offset` in bytes, `line_number` from 1. */
export type TemplateValues = Record<TemplateField, string | number>;

export interface Template {
  /** It names the offset or the line number, so that every record has its own text. */
  perRecord: boolean;
  render(values: TemplateValues): string;
}

/** Compiles a template of a key or a header. Throws LogagentError USAGE on an unknown placeholder. */
export function compileTemplate(text: string): Template {
  const parts = parseTemplate(text);
  return {
    perRecord: parts.some((part) => typeof part === "object" && ["offset", "line_number"].includes(part.field)),
    render(values) {
      let text = "";
      for (const part of parts) text += typeof part === "string" ? part : values[part.field];
      return text;
    },
  };
}
