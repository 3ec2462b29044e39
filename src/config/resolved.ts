/** What a config file and the environment come to, in the keys of the file: defaults filled in, variables replaced, no secrets. */
import { agentSection, connectionSection, fileKey, producerSection, readConfigFile } from "./file.ts";
import type { Flag, Flags } from "./flag.ts";
import { inputFlags } from "./input-flags.ts";
import { layered } from "./load-agent.ts";

type Values = Record<string, unknown>;

/** `given`: what flags and environment say; it wins. Call it with a configuration that loads. */
export function resolvedConfig(path: string, given: Values, env: Record<string, string | undefined>): Values {
  const file = readConfigFile(path, env);
  const settings = { ...file.settings, ...given };
  const inputs = [...file.inputs].map(([name, { paths, settings: own }]) => {
    const values = layered([file.defaults, own, given]);
    const { multilineTimeout: _, multilineMaxBytes: __, ...single } = inputFlags;
    const joined = values.multilineStart !== undefined || values.multilineContinuation !== undefined;
    return [name, { paths, ...shown(joined ? inputFlags : single, values) }] as const;
  });
  return {
    connection: shown(connectionSection, settings),
    producer: shown(producerSection, settings),
    ...shown(agentSection, settings),
    inputs: Object.fromEntries(inputs),
  };
}

function shown(flags: Flags, values: Values): Values {
  const rows = Object.entries(flags).flatMap(([key, flag]) => {
    const value = values[key] ?? flag.default;
    return value === undefined ? [] : [[fileKey(key), text(flag, value)] as const];
  });
  return Object.fromEntries(rows);
}

function text(flag: Flag, value: unknown): unknown {
  if (flag.type !== "duration") return value;
  const ms = Number(value);
  return ms !== 0 && ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
