/** Which settings of a changed configuration a running agent cannot take over, by the names they have in the file. */
import { fileKey } from "../config/file.ts";
import type { AgentConfig } from "../config/types.ts";

/** Settings whose name inside differs from their key by more than case. */
const keys: Record<string, string> = { lingerMs: "linger", batchBytes: "batch_size", memoryBytes: "buffer_memory" };
const free = new Set<string>(["inputs", "warnings"] satisfies (keyof AgentConfig)[]);

export function fixedChanges(now: AgentConfig, next: AgentConfig): string[] {
  return changes({ ...now }, { ...next })
    .filter((key) => !free.has(key))
    .flatMap((key) => {
      if (key !== "connection" && key !== "producer") return [nameOf(key)];
      return changes({ ...now[key] }, { ...next[key] }).map((field) => `${key}.${nameOf(field)}`);
    });
}

function changes(now: Record<string, unknown>, next: Record<string, unknown>): string[] {
  const all = new Set([...Object.keys(now), ...Object.keys(next)]);
  return [...all].filter((key) => JSON.stringify(now[key]) !== JSON.stringify(next[key]));
}

function nameOf(key: string): string {
  return keys[key] ?? fileKey(key);
}
