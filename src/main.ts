#!/usr/bin/env bun
/**
 * argv → command → exit code. The only place that ends the process: it sets `process.exitCode` and returns, because
 * `process.exit` loses what a pipe has not taken yet. Nothing but the version is loaded for `--version`.
 */
import { writeSync } from "node:fs";
import { exactWords } from "./path-text.ts";
import { printable } from "./printable.ts";
import { holdSignals } from "./runtime.ts";
import { commit, version } from "./version.ts";

/** How long (ms) handles that a command forgot may keep a finished process alive. */
const LINGER = 1000;

/** Exit code for output that cannot be written. */
const FILE_IO = 74;

let outputFailed = false;
const argv = exactWords(process.argv.slice(2));

if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
  sayVersion();
} else {
  // Before anything else is loaded: an agent can be told to stop or to reload from its first moment on.
  if (argv[0] === "tail") holdSignals();
  guardOutput();
  const code = await (await import("./commands/run.ts")).run(argv);
  process.exitCode = code === 0 && outputFailed ? FILE_IO : code;
  setTimeout(endWhenWritten, LINGER).unref();
}

/** Not through `process.stdout`: waking the streams takes most of the time a program needs to start. */
function sayVersion(): void {
  try {
    writeSync(1, `logagent ${version} (${commit})\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") crash(error);
  }
}

function guardOutput(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    const stoppable = process.listenerCount("SIGTERM") > 0;
    if (error.code !== "EPIPE") {
      if (!outputFailed) process.stderr.write(`logagent: writing to standard output: ${error.message}\n`);
      outputFailed = true;
      // A command that can stop decides itself what is worth going on for.
      if (!stoppable) process.exit(FILE_IO);
      return;
    }
    // The reader went away (`| head -1`): there is nobody left to write for. A command that knows how to stop does so.
    if (stoppable) process.emit("SIGTERM", "SIGPIPE" as "SIGTERM");
    else process.exit(process.exitCode ?? 0);
  });
  // stderr may be closed; that must not end the work.
  process.stderr.on("error", () => {});
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
}

/** A last resort against a forgotten socket or timer; pending output keeps the process alive. */
function endWhenWritten(): void {
  if (process.stdout.writableLength > 0 || process.stderr.writableLength > 0) {
    setTimeout(endWhenWritten, LINGER).unref();
  } else {
    process.exit();
  }
}

function crash(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  const verbose = process.env.LOGAGENT_LOG_LEVEL === "debug" || /--log-level[= ]debug/.test(argv.join(" "));
  const frames = error instanceof Error ? (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)) : [];
  const more = verbose ? frames.map(printable).join("\n") : "run again with --log-level debug for details";
  process.exitCode = 70;
  process.stderr.write(`logagent: internal error: ${printable(text)}\n${more}\n`, () => process.exit(70));
}
