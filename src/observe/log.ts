/** Structured log to stderr; every room logs through this interface and nothing else. */
export type Fields = Record<string, string | number | bigint | boolean | null | undefined>;

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
