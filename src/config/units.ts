/** Durations and sizes as people write them. Errors are LogagentError USAGE naming the rule and the value. */
import { LogagentError } from "../errors.ts";

const durations: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizes: Record<string, number> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
};

/** "250ms", "10s", "1.5m", "0" → milliseconds. */
export function parseDuration(text: string): number {
  if (text.trim() === "0") return 0;
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(text.trim());
  if (!match) {
    throw new LogagentError(
      "USAGE",
      `reading a duration: "${text}" must be a number with ms, s, m, h or d, like 250ms`,
    );
  }
  return Number(match[1]) * durations[match[2]!]!;
}

/** "16MB", "1 MiB", "4096" → bytes. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(text.trim());
  const unit = Object.keys(sizes).find((name) => name.toLowerCase() === match?.[2]?.toLowerCase());
  if (!match || unit === undefined) {
    throw new LogagentError(
      "USAGE",
      `reading a size: "${text}" must be bytes, or a number with KB, MB, GB, KiB, MiB or GiB`,
    );
  }
  return Math.round(Number(match[1]) * sizes[unit]!);
}

/** 250 → "250ms", 60000 → "1m". */
export function formatDuration(ms: number): string {
  for (const [unit, size] of Object.entries(durations).reverse()) {
    if (ms > 0 && ms % size === 0) return `${ms / size}${unit}`;
  }
  return ms === 0 ? "0" : `${ms}ms`;
}

/** 1000000 → "1MB", 33554432 → "32MiB". */
export function formatSize(bytes: number): string {
  for (const unit of ["GiB", "GB", "MiB", "MB", "KiB", "KB"]) {
    if (bytes > 0 && bytes % sizes[unit]! === 0) return `${bytes / sizes[unit]!}${unit}`;
  }
  return `${bytes}`;
}
