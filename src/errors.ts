/**
 * The one list of the program's own error codes, each with the exit code of the process (sysexits.h) it leads to when
 * nothing handles it. Errors of the Kafka protocol have their own table in `kafka/protocol/errors.ts`.
 */
export const exitCodes = {
  USAGE: 64,
  BAD_INPUT: 65,
  BROKER_UNAVAILABLE: 69,
  BROKER_REFUSED: 69,
  BUG: 70,
  FILE_IO: 74,
  STATE_IO: 74,
  STATE_DAMAGED: 74,
  STATE_LOCKED: 74,
  AUTHENTICATION: 77,
  AUTHORIZATION: 77,
  CONFIG: 78,
  STATE_MISMATCH: 78,
  FENCED: 78,
} as const;

export type ErrorCode = keyof typeof exitCodes;

/** An error a user can act on: its message names the action, the rule and the value that broke it. */
export class LogagentError extends Error {
  override readonly name = "LogagentError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  /** The message as it is shown, a line each. */
  get lines(): readonly string[] {
    return [this.message];
  }

  /** Exit code of the process when this error ends it. */
  get exitCode(): number {
    return exitCodes[this.code];
  }
}

/** The exit code for anything thrown: 70 (a bug) for what nobody foresaw. */
export function exitCodeOf(error: unknown): number {
  return error instanceof LogagentError ? error.exitCode : exitCodes.BUG;
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
