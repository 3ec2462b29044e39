/** `logagent consume`: records of topics to stdout. */
import { connectionFlags } from "../config/flags.ts";
import { LogagentError } from "../errors.ts";
import type { KafkaClient } from "../kafka/cluster/client.ts";
import type { FetchOptions } from "../kafka/consumer/fetcher.ts";
import type { GroupOptions } from "../kafka/consumer/group-member.ts";
import { type OffsetRange, parseOffsets } from "../kafka/consumer/offset-range.ts";
import { isolationLevels } from "../kafka/protocol/fetch.ts";
import { OutputBuffer } from "../output/buffer.ts";
import { compileFilter } from "../output/filter.ts";
import { compileFormat } from "../output/format.ts";
import { connectWithin } from "./consume/connect.ts";
import { consumeDirect } from "./consume/direct.ts";
import { consumeGroup } from "./consume/group.ts";
import { Printer } from "./consume/printer.ts";
import { parsePartitions, selectTopics } from "./consume/topics.ts";
import { defineCommand } from "./define.ts";
import { signalExitCode, untilSignal } from "./signals.ts";
import { withClient } from "./with-client.ts";

const raw = "%v\\n";
const readable = "partition=%p offset=%o key=%k value=%v\\n";

export default defineCommand({
  name: "consume",
  description: "Read records of topics: all partitions, from the newest record on unless --offsets says otherwise.",
  flags: {
    ...connectionFlags,
    topic: {
      type: "string",
      alias: "t",
      multiple: true,
      value: "TOPIC",
      description: "A topic, beside those given as words",
    },
    regex: { type: "boolean", alias: "r", description: "Topics are regular expressions that match the whole name" },
    offsets: {
      type: "string",
      alias: "O",
      value: "RANGE",
      description: "start, end, N, +N after the start, -N before the end, N:M, :end, @TIME, @TIME:TIME; default end",
    },
    partition: {
      type: "string",
      alias: "p",
      multiple: true,
      value: "N,…",
      description: "Only these partitions: a list 0,2 or a range 5-7",
    },
    group: {
      type: "string",
      alias: "g",
      value: "NAME",
      description: "Share the partitions with the other members of this group, commit, and resume where it stopped",
    },
    groupInstance: {
      type: "string",
      value: "ID",
      description: "Static member of the group: keeps its partitions across a restart within --session-timeout",
    },
    sessionTimeout: {
      type: "duration",
      default: 10_000,
      min: 1000,
      description: "How long a member of a group may be silent before others get its partitions",
    },
    count: { type: "integer", alias: "n", min: 1, description: "Stop after this many records" },
    exitAtEnd: { type: "boolean", alias: "e", description: "Stop at the end of the partitions as it is at the start" },
    format: {
      type: "string",
      alias: "f",
      value: "FORMAT",
      description: "json, or a text with verbs; default: values, on a terminal as with --print-offsets",
    },
    output: { type: "choice", alias: "o", options: ["json"], description: "The same as --format json" },
    printOffsets: { type: "boolean", description: "Print partition, offset, key and value of each record" },
    isolation: {
      type: "choice",
      options: isolationLevels,
      default: "read-committed",
      description: "Whether records of open and aborted transactions are hidden",
    },
    filterKey: { type: "string", multiple: true, value: "REGEX", description: "Only records whose key matches" },
    filterValue: { type: "string", multiple: true, value: "REGEX", description: "Only records whose value matches" },
    filterHeader: {
      type: "string",
      multiple: true,
      value: "NAME[=REGEX]",
      description: "Only records that have the header, and with a matching value",
    },
    timeout: {
      type: "duration",
      default: 60_000,
      description: "With an end to reach: give up (69) when no broker answers for so long, at the start or later",
    },
    rack: { type: "string", value: "ID", description: "Read from replicas in this rack where brokers allow it" },
    fetchMinBytes: { type: "size", default: 1, description: "Brokers wait for so much before they answer" },
    fetchMaxBytes: {
      type: "size",
      default: 4 * 1024 * 1024,
      min: 1024,
      description: "Bytes asked for at a time, of all brokers together",
    },
    fetchMaxWait: { type: "duration", default: 500, description: "Longest time brokers wait for --fetch-min-bytes" },
  },
  words: { name: "TOPIC", many: true },
  examples: [
    "logagent consume web_log --print-offsets",
    "logagent consume web_log --offsets start --exit-at-end --format json",
    "logagent consume web_log --offsets @-1h:end --format '%T{iso} %p/%o %k %v\\n'",
    "logagent consume web_log --group billing",
  ],
  notes: formatNotes(),
  async run(context) {
    const { flags, words, log } = context;
    const selection = selectTopics([...words, ...flags.topic], flags.regex);
    const partitions = parsePartitions(flags.partition);
    const range = parseOffsets(flags.offsets ?? "end", Date.now());
    const group = groupOptions(flags, partitions !== null, range);
    const write = compileFormat(
      chooseFormat(flags, selection.names.length + selection.patterns.length > 1 || flags.regex),
    );
    const filter = compileFilter({ key: flags.filterKey, value: flags.filterValue, header: flags.filterHeader });
    const printer = new Printer(new OutputBuffer(process.stdout), {
      write,
      filter,
      limit: flags.count ?? Number.POSITIVE_INFINITY,
    });
    const fetch: FetchOptions = {
      isolation: flags.isolation,
      reset: range,
      rack: flags.rack ?? "",
      maxWait: flags.fetchMaxWait,
      minBytes: flags.fetchMinBytes,
      maxBytes: flags.fetchMaxBytes,
      partitionBytes: Math.min(flags.fetchMaxBytes, 1024 * 1024),
      requestTimeout: flags.requestTimeout ?? 30_000,
      timeout: flags.timeout,
    };
    const until = untilSignal();
    const { signal } = until;
    try {
      const { exitAtEnd, timeout } = flags;
      const read = (client: KafkaClient) => {
        if (group === null) {
          const options = { selection, partitions, range, exitAtEnd, fetch, timeout };
          return consumeDirect(client, options, printer, signal, log);
        }
        return consumeGroup(client, { selection, range, exitAtEnd, fetch, group, timeout }, printer, signal, log);
      };
      const patience = exitAtEnd || range.to !== null ? timeout : 0;
      await withClient(context, read, (client) => connectWithin(client, patience, signal, log));
    } finally {
      until.release();
    }
    const { received } = until;
    const promised = flags.exitAtEnd || range.to !== null || flags.count !== undefined;
    if (received === null || received === "SIGPIPE" || !promised || printer.done) return 0;
    log.error(`interrupted by ${received}: ${printer.printed} records were printed, the end was not reached`);
    return signalExitCode(received);
  },
});

interface GroupFlags {
  group?: string | undefined;
  groupInstance?: string | undefined;
  sessionTimeout: number;
  timeout: number;
}

/** Null without --group. Throws LogagentError USAGE for what a group decides itself. */
function groupOptions(flags: GroupFlags, hasPartitions: boolean, range: OffsetRange): GroupOptions | null {
  if (flags.group === undefined) {
    if (flags.groupInstance === undefined) return null;
    throw new LogagentError("USAGE", "reading in a group: --group-instance needs --group");
  }
  if (flags.group === "") throw new LogagentError("USAGE", "reading in a group: the group's name must not be empty");
  if (hasPartitions)
    throw new LogagentError("USAGE", "reading in a group: the group shares out partitions, --partition cannot");
  if (range.to !== null) {
    throw new LogagentError(
      "USAGE",
      "reading in a group: --offsets is where to begin without a commit; it cannot have an end",
    );
  }
  return {
    group: flags.group,
    instanceId: flags.groupInstance ?? null,
    sessionTimeout: flags.sessionTimeout,
    rebalanceTimeout: Math.max(60_000, flags.sessionTimeout),
    timeout: flags.timeout,
  };
}

interface FormatFlags {
  format?: string | undefined;
  output?: string | undefined;
  printOffsets: boolean;
}

function chooseFormat(flags: FormatFlags, severalTopics: boolean): string {
  const given = [flags.format, flags.output, flags.printOffsets || undefined].filter((value) => value !== undefined);
  if (given.length > 1) {
    throw new LogagentError(
      "USAGE",
      "choosing a format: only one of --format, --output and --print-offsets can be given",
    );
  }
  if (flags.output !== undefined) return flags.output;
  if (flags.format !== undefined) return flags.format;
  if (!flags.printOffsets && !process.stdout.isTTY) return raw;
  return severalTopics ? `topic=%t ${readable}` : readable;
}

function formatNotes(): string {
  return `Verbs of --format: %t topic, %p partition, %o offset, %k key, %v value, %K %V their lengths, %T timestamp,
%e leader epoch, %h headers, %h{%k=%v } each header, %H their number, %i records so far, %%.
Behind a verb: {hex} {base64} {json} for texts; {iso} {unix} for %T; {big64} {little32} {hex16} and the like for numbers.
Escapes: \\n \\t \\r \\0 \\\\ \\xNN. Null keys and values print as nothing; --format json tells them apart.

RANGE of --offsets: start, end, N, +N (after the start), -N (before the end), N: , :N, N:M, :end, start:end, @T, @T1:T2, @:T.
T is a Unix time in seconds or milliseconds, a day, an ISO time, -1h for an hour ago; T2 also 1h (after T1) or end.`;
}
