/** What is allowed in a config file and yet surely not meant: told as warnings, by `check` and when `tail` starts. */
import { isAbsolute } from "node:path";
import { type ConfigFile, fileKey } from "./file.ts";
import type { Problem } from "./problems.ts";

/** Milliseconds until the installed unit's TimeoutStopSec kills an agent that drains. */
const unitStopTimeout = 30_000;

/** Pieces of other dialects of regular expressions that JavaScript reads as something else. */
const foreignRegex: readonly [RegExp, string][] = [
  [/\[\[:\w+:\]/, "[[:digit:]] and its kind mean single characters here; write \\d, \\w or \\s"],
  [/(?<!\\)(?:\\\\)*\\[AzZ](?![a-z])/, "\\A, \\z and \\Z are plain letters here; write ^ and $"],
];

/** `env`: to know whether a service manager runs it. */
export function advise(file: ConfigFile, env: Record<string, string | undefined>): Problem[] {
  const found: Problem[] = [];
  const say = (path: readonly string[], message: string) =>
    found.push({ file: file.path, line: file.lineOf(path), where: path.join("."), message });
  const service = Boolean(env.INVOCATION_ID ?? env.RC_SVCNAME);

  const { settings } = file;
  const wait = settings.drainTimeout;
  if (typeof wait === "number" && wait > unitStopTimeout)
    say(
      ["drain_timeout"],
      `is longer than the service's TimeoutStopSec (${unitStopTimeout / 1000} s), which kills the agent first`,
    );
  if (Array.isArray(settings.brokers) && settings.brokers.length === 0)
    say(["connection", "brokers"], "is empty, so localhost:9092 is used; name the brokers or leave the key out");
  for (const key of [
    "state",
    "tlsCa",
    "tlsCert",
    "tlsKey",
    "tlsKeyPassphraseFile",
    "saslPasswordFile",
    "oauthClientSecretFile",
  ]) {
    const path = settings[key];
    if (typeof path === "string") pathAdvice(path, service, (message) => say(placeOf(key), message));
  }
  inputAdvice(["defaults"], file.defaults, file.defaults, say);
  for (const [name, input] of file.inputs) {
    inputAdvice(["inputs", name], input.settings, { ...file.defaults, ...input.settings }, say);
    for (const path of input.paths) pathAdvice(path, service, (message) => say(["inputs", name, "paths"], message));
  }
  for (const { path, text } of file.comments)
    say(path, `the value ends before " ${text}": a # behind a space begins a comment; put the text in quotes`);
  return found;
}

type Say = (path: readonly string[], message: string) => void;

function placeOf(key: string): string[] {
  return key === "state" ? [key] : ["connection", fileKey(key)];
}

function pathAdvice(path: string, service: boolean, say: (message: string) => void): void {
  if (/^~(\/|$)/.test(path)) say(`~ is not expanded; ${path} is a path below the working directory. Write \${HOME}`);
  else if (/(^|\/)\$\w+/.test(path)) say(`$NAME is not expanded in ${path}; write \${NAME}`);
  else if (service && !isAbsolute(path)) say(`${path} is relative, and a service's working directory is /`);
}

function inputAdvice(
  path: readonly string[],
  own: Readonly<Record<string, unknown>>,
  all: Readonly<Record<string, unknown>>,
  say: Say,
): void {
  if (
    (own.multilineTimeout ?? own.multilineMaxBytes) !== undefined &&
    !all.multilineStart &&
    !all.multilineContinuation
  ) {
    const key = own.multilineTimeout === undefined ? "multiline_max_bytes" : "multiline_timeout";
    say([...path, key], "does nothing without multiline_start or multiline_continuation");
  }
  const patterns = {
    include: own.include,
    exclude: own.exclude,
    multiline_start: own.multilineStart,
    multiline_continuation: own.multilineContinuation,
  };
  for (const [key, value] of Object.entries(patterns)) {
    for (const pattern of [value ?? []].flat()) {
      for (const [foreign, message] of foreignRegex) {
        if (foreign.test(String(pattern))) say([...path, key], `in ${JSON.stringify(pattern)}: ${message}`);
      }
    }
  }
}
