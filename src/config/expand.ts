/**
 * `${NAME}`, `${NAME:-DEFAULT}` and `${file:PATH}` in the texts of a config file → their values; `$${` stands for `${`. A
 * file's content loses its last line end. Whatever cannot be replaced is told and stays as it is.
 */
import { readFileSync } from "node:fs";
import { nearest } from "./suggest.ts";

type Env = Record<string, string | undefined>;
type Report = (path: readonly string[], message: string) => void;

/** Walks the values below `path`; keys stay as they are. */
export function expand(value: unknown, env: Env, problem: Report, path: readonly string[] = []): unknown {
  if (typeof value === "string") return text(value, env, (message) => problem(path, message));
  if (Array.isArray(value)) return value.map((item) => expand(item, env, problem, path));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, expand(item, env, problem, [...path, key])]),
  );
}

function text(value: string, env: Env, problem: (message: string) => void): string {
  return value.replace(/\$\$\{|\$\{([^{}]*)\}/g, (all, inside: string | undefined) => {
    if (inside === undefined) return "${";
    if (inside.startsWith("file:")) return content(inside.slice("file:".length), problem) ?? all;
    const [, name, fallback] = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside) ?? [];
    if (name === undefined) {
      problem(
        `${all} is no variable: write \${NAME}, \${NAME:-DEFAULT}, \${file:PATH}, or $${all} for the text itself`,
      );
      return all;
    }
    const found = env[name] || fallback;
    if (found !== undefined) return found;
    const hint = env[name] === "" ? "is empty" : "is not set";
    const similar = nearest(name, Object.keys(env));
    problem(
      `the environment variable ${name} ${hint}${similar && similar !== name ? `. Did you mean ${similar}?` : ""}`,
    );
    return all;
  });
}

function content(path: string, problem: (message: string) => void): string | null {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    problem(`reading \${file:${path}}: ${(error as Error).message}`);
    return null;
  }
}
