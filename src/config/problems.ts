/** All that is wrong with a configuration, collected, so that one run names everything. */
import { type ErrorCode, LogagentError } from "../errors.ts";

export interface Problem {
  /** Config file, as named; null for a flag. */
  file: string | null;
  /** From 1; null where no line is to blame. */
  line: number | null;
  /** `inputs.web.topic`, or `--topic`. */
  where: string;
  message: string;
}

/** Carries every problem; its lines are one for each. */
export class ConfigError extends LogagentError {
  readonly problems: readonly Problem[];

  constructor(code: ErrorCode, problems: readonly Problem[]) {
    const inOrder = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
    const texts = textsOf(inOrder);
    super(code, texts.length === 1 ? texts[0]! : `${texts.length} problems: ${texts.join("; ")}`);
    this.problems = inOrder;
  }

  override get lines(): readonly string[] {
    const texts = textsOf(this.problems);
    return texts.length === 1 ? texts : [`${texts.length} problems`, ...texts.map((text) => `  ${text}`)];
  }
}

function textsOf(problems: readonly Problem[]): string[] {
  return [...new Set(problems.map(problemText))];
}

/** `logagent.yaml:12: inputs.web.topic: a topic name …` */
export function problemText({ file, line, where, message }: Problem): string {
  const place = file === null ? "" : line === null ? `${file}: ` : `${file}:${line}: `;
  return `${place}${where ? `${where}: ` : ""}${message}`;
}
