import { existsSync, readFileSync } from "node:fs";

export interface Counts {
  passed: number;
  failed: number;
  /** Names of the skipped tests; a name says why in brackets. */
  skipped: string[];
}

/** Counts the test cases of a JUnit file as Bun writes it; all zero when there is none. */
export function readReport(file: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: [] };
  if (!existsSync(file)) return counts;
  for (const match of readFileSync(file, "utf8").matchAll(/<testcase ([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g)) {
    const [, attributes = "", body = ""] = match;
    if (/<(failure|error)\b/.test(body)) counts.failed++;
    else if (/<skipped\b/.test(body)) counts.skipped.push(unescapeXml(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "?"));
    else counts.passed++;
  }
  return counts;
}

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (_, name: string) => entities[name]!);
}
