/** What the environment says of the flags of `tail`, for the commands that judge a config file in its place. */
import { LogagentError } from "../errors.ts";
import { parseFlags } from "./parse-flags.ts";
import { ConfigError } from "./problems.ts";
import { tailFlags } from "./tail-flags.ts";

/** Throws ConfigError CONFIG for a variable that `tail` would refuse. */
export function tailEnvironment(env: Record<string, string | undefined>) {
  try {
    const { config: _, ...given } = parseFlags([], tailFlags, env).given;
    return given;
  } catch (error) {
    if (!(error instanceof LogagentError)) throw error;
    throw new ConfigError("CONFIG", [{ file: null, line: null, where: "", message: error.message }]);
  }
}
