import type { InputConfig } from "../config/types.ts";
import type { Route } from "../kafka/producer/sink.ts";
import type { Lines } from "../lines.ts";
import type { Log } from "../observe/log.ts";
import { encodeRecord } from "../output/record-json.ts";
import { type Clock, sleep } from "../runtime.ts";
import { type CreateTailer, Input } from "./inputs/input.ts";
import { sayAbsent } from "./inputs/missing-paths.ts";
import { FileOwners } from "./inputs/shared-files.ts";

export interface DryRunOptions {
  inputs: readonly InputConfig[];
  /** Throw LogagentError FILE_IO when a path names nothing. */
  mustExist: boolean;
  createTailer: CreateTailer;
  host: string;
  clock: Clock;
  log: Log;
  /** Takes the text and resolves when there is room for more. */
  write: (text: string) => Promise<void>;
}

/**
 * Prints the records that would be sent, in the JSON form of consume, up to the present ends of the files. No broker, so
 * no partition (unless the input names one), offset or timestamp.
 */
export async function dryRun(options: DryRunOptions): Promise<void> {
  const { clock, log, write } = options;
  const owners = new FileOwners();
  for (const config of options.inputs) {
    const { owner, claims } = owners.of(config);
    const tailer = options.createTailer({ ...config.tail, once: true }, claims);
    owner.tailer = tailer;
    tailer.onEvent((event) => log[event.level](event.message, { input: config.name, path: event.path }));
    try {
      const input = new Input(config, options.host, tailer, (error) => {
        throw error;
      });
      await tailer.start([]);
      await sayAbsent([input], { once: true, mustExist: options.mustExist }, log);
      while (!tailer.finished) {
        const lines = input.next();
        if (lines === null) {
          await sleep(clock, Math.min(Math.max(tailer.wait(), 1), 100));
          continue;
        }
        if (lines.count > 0) await write(recordTexts(lines, input.route(lines.file)));
        tailer.settled(lines.file, lines.to);
      }
    } finally {
      tailer.close();
    }
  }
}

function recordTexts(lines: Lines, route: Route): string {
  const { topic, partitioner, key, headers } = route;
  const partition = typeof partitioner === "number" ? { partition: partitioner } : {};
  let text = "";
  for (let i = 0; i < lines.count; i++) {
    text += encodeRecord({
      topic,
      ...partition,
      key: typeof key === "function" ? key(lines, i) : key,
      value: lines.bytes.subarray(lines.starts[i], lines.ends[i]),
      headers: typeof headers === "function" ? headers(lines, i) : headers,
    });
    text += "\n";
  }
  return text;
}
