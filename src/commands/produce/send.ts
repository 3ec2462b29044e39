/** The whole input into a session, and what is said when it is not sent to its end. */
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { type EndSignal, signalExitCode } from "../signals.ts";
import { LineReader } from "./line-reader.ts";
import { linesOfValues, type ToParcels } from "./records.ts";
import type { Session } from "./session.ts";

/** How far the input was read. */
export interface Input {
  /** Lines of the file that was being read. */
  read: number;
  /** What was not read to its end, in words; null: nothing. */
  rest: string | null;
}

/** Everything there is to send; a failure of the input is returned, so that what came before it is still flushed. */
export async function sendAll(
  session: Session,
  topic: string | null,
  values: readonly Uint8Array[] | null,
  files: readonly string[],
  toParcels: ToParcels,
  signal: AbortSignal,
  input: Input,
): Promise<unknown> {
  try {
    if (topic !== null) await session.prepare(topic);
    if (values) {
      const sent = session.total;
      for (const parcel of toParcels(linesOfValues(values))) await session.sendParcel(parcel, signal);
      const left = values.length - (session.total - sent);
      if (left > 0) input.rest = `${left} of the values were not sent`;
      return null;
    }
    for (const [i, file] of files.entries()) {
      const complete = await sendFile(session, file, toParcels, signal, input);
      if (complete) continue;
      const others = files.length - i - 1;
      input.rest = `${file === "-" ? "stdin" : `"${file}"`} was sent up to line ${input.read}, the rest of it${others > 0 ? ` and ${others} more files were` : " was"} not`;
      break;
    }
    return null;
  } catch (error) {
    // Without brokers there is nothing to wait for.
    if (error instanceof LogagentError && error.code === "BROKER_UNAVAILABLE") throw error;
    return error;
  }
}

/** False when it was stopped before the end. */
async function sendFile(
  session: Session,
  file: string,
  toParcels: ToParcels,
  signal: AbortSignal,
  input: Input,
): Promise<boolean> {
  const reader = new LineReader(file);
  input.read = 0;
  try {
    while (!signal.aborted) {
      const lines = await orAborted(reader.next(), signal);
      if (!lines) return !signal.aborted;
      const before = session.total;
      for (const parcel of toParcels(lines)) await session.sendParcel(parcel, signal);
      input.read = lines.lineNumber - 1 + (signal.aborted ? session.total - before : lines.count);
      // Answers are read between the chunks, also where files are read without waiting.
      await new Promise((resolve) => setImmediate(resolve));
    }
    return false;
  } finally {
    reader.close();
  }
}

/** Says what was done and what was not. */
export function interrupted(signal: EndSignal, session: Session, input: Input, log: Log): number {
  const open = session.open > 0 ? `, ${session.open} may or may not have arrived` : "";
  const rest = input.rest === null ? "" : `; ${input.rest}`;
  log.error(`interrupted by ${signal}: ${session.acknowledged} records were acknowledged${open}${rest}`);
  return signalExitCode(signal);
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const stop = () => resolve(null);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
