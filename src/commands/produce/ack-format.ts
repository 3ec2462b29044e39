/** `--output-format`: a line for each acknowledged record. */
import { LogagentError } from "../../errors.ts";
import type { Batch, Outcome } from "../../kafka/producer/sink.ts";
import { unescapeText } from "../../output/format.ts";
import { parseFormat } from "../../output/format-parse.ts";

export type AckWriter = (batch: Batch, outcome: Extract<Outcome, { kind: "acked" }>) => string;

type Verb = (batch: Batch, offset: bigint, timestamp: number | bigint) => string | number | bigint;

const verbs: Record<string, Verb> = {
  t: ({ topic }) => topic,
  p: ({ partition }) => partition,
  o: (_, offset) => offset,
  T: (_, __, timestamp) => timestamp,
};

/** Verbs %t %p %o %T; a line break is added. Throws LogagentError USAGE. */
export function compileAckFormat(format: string): AckWriter {
  const parts = parseFormat(format).map((part) => {
    if (typeof part === "string") return unescapeText(part).toString();
    const verb = verbs[part.verb];
    if (verb && part.argument === null) return verb;
    throw new LogagentError(
      "USAGE",
      `reading --output-format "${format}": %${part.verb} is unknown; verbs are %t %p %o %T`,
    );
  });
  const last = parts[parts.length - 1];
  if (typeof last !== "string" || !last.endsWith("\n")) parts.push("\n");
  return (batch, { offset, timestamp }) => {
    let text = "";
    for (let i = 0; i < batch.count; i++) {
      const at = offset < 0n ? -1n : offset + BigInt(i);
      for (const part of parts) text += typeof part === "string" ? part : part(batch, at, timestamp);
    }
    return text;
  };
}
