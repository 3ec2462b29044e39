import type { AgentConfig, InputConfig } from "../../src/config/types.ts";

/** An input of in-memory files. */
export function input(name: string, paths: string[], more: Partial<InputConfig> = {}): InputConfig {
  const tail = { input: name, paths, once: false } as unknown as InputConfig["tail"];
  return { name, topic: "t", partitioner: 0, key: null, headers: [], format: "raw", createTopic: null, tail, ...more };
}

export function configOf(inputs: InputConfig[], more: Partial<AgentConfig> = {}): AgentConfig {
  return {
    drainTimeout: 500,
    timeout: 1000,
    once: false,
    mustExist: false,
    newDestination: false,
    inputs,
    ...more,
  } as AgentConfig;
}

/** Waits for it; throws when it does not come about. */
export async function until(what: () => boolean, timeout = 8_000): Promise<void> {
  const end = performance.now() + timeout;
  while (!what()) {
    if (performance.now() > end) throw new Error(`it did not come about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** `name` followed by each number from `from` up to `to`. */
export function numbers(name: string, from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => `${name}${from + i}`);
}

export function text(values: string[]): string {
  return values.map((value) => `${value}\n`).join("");
}
