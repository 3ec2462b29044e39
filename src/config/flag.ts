/** One flag of a command line, as data: parsing, help, completion and README's test all read it. */
export interface Flag {
  /**
   * `string` as it is; `integer` a number, also negative; `duration` milliseconds ("250ms", "10s", "5m", "12h", "7d");
   * `size` bytes ("64KB", "1MiB"); `choice` one of `options`; `boolean` takes no value (`--flag=false` is possible).
   */
  type: "string" | "integer" | "duration" | "size" | "choice" | "boolean";
  /** One letter. */
  alias?: string;
  options?: readonly string[];
  /** May be given again; the value is an array. */
  multiple?: true;
  /** Already in the parsed unit. */
  default?: string | number | boolean;
  /** Smallest and largest number allowed. */
  min?: number;
  max?: number;
  /** Name of the value in the help; default by type. */
  value?: string;
  /** Environment variable that stands in for the flag. */
  env?: string;
  /** Heading in the help; default "Options". */
  group?: string;
  description: string;
}

export type Flags = Record<string, Flag>;

type One<F extends Flag> = F["type"] extends "boolean"
  ? boolean
  : F["type"] extends "integer" | "duration" | "size"
    ? number
    : F extends { options: readonly (infer O)[] }
      ? O
      : string;

type Value<F extends Flag> = F extends { multiple: true }
  ? One<F>[]
  : F["type"] extends "boolean"
    ? boolean
    : F extends { default: string | number | boolean }
      ? One<F>
      : One<F> | undefined;

/** Booleans are false and repeatable flags are [] when not given; others without a default are undefined. */
export type FlagValues<F extends Flags> = { [K in keyof F]: Value<F[K]> };

/** `tlsCa` → `tls-ca`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
