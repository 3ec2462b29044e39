/** Commands that change several things: each outcome is told, and one failure makes the exit code a failure. */
import { type outputFlag, render } from "../output/data.ts";
import { formatTable } from "../output/table.ts";
import { complain } from "./complain.ts";
import { kafkaExitCode, kafkaFailure } from "./kafka-exit-code.ts";

export interface Result {
  /** Name of the topic or group. */
  name: string;
  /** 0 is success. */
  errorCode: number;
  message: string | null;
  /** What was done, for example `created`. */
  done: string;
}

/** Outcomes go to stdout as data, failures to stderr as well. `kind` is `topic` or `group`. */
export async function reportResults(
  kind: string,
  results: readonly Result[],
  output: (typeof outputFlag.options)[number],
): Promise<number> {
  const inOrder = [...results].sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = inOrder.map(({ name, errorCode, message, done }) => ({
    [kind]: name,
    ok: errorCode === 0,
    status: errorCode === 0 ? done : kafkaFailure(errorCode, message),
  }));
  process.stdout.write(
    await render(output, {
      value: rows,
      table: () =>
        formatTable(
          [kind.toUpperCase(), "STATUS"],
          rows.map((row) => [String(row[kind]), String(row.status)]),
        ),
      names: inOrder.filter(({ errorCode }) => errorCode === 0).map(({ name }) => name),
    }),
  );
  const failed = inOrder.filter(({ errorCode }) => errorCode !== 0);
  for (const { name, errorCode, message } of failed) {
    complain(`${kind} "${name}": ${kafkaFailure(errorCode, message)}`);
  }
  return failed.length === 0 ? 0 : Math.max(...failed.map(({ errorCode }) => kafkaExitCode(errorCode)));
}
