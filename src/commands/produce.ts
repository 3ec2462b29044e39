/** `logagent produce`: records from the command line, stdin or files. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { FlagValues } from "../config/flag.ts";
import { connectionFlags, producerFlags } from "../config/flags.ts";
import { checkTopicName } from "../config/topic-name.ts";
import { exitCodes, LogagentError } from "../errors.ts";
import type { KafkaClient } from "../kafka/cluster/client.ts";
import type { ProducerOptions } from "../kafka/producer/idempotent-producer.ts";
import type { Header, Partitioner, Sink, SinkEvent } from "../kafka/producer/sink.ts";
import type { Log } from "../observe/log.ts";
import { OutputBuffer } from "../output/buffer.ts";
import { unescapeText } from "../output/format.ts";
import { systemClock } from "../runtime.ts";
import { defineCommand } from "./define.ts";
import { compileAckFormat } from "./produce/ack-format.ts";
import { jsonRecords, plainRecords, type RecordOptions } from "./produce/records.ts";
import { type Input, interrupted, sendAll } from "./produce/send.ts";
import { Session } from "./produce/session.ts";
import { untilSignal } from "./signals.ts";
import { connectionOf } from "./with-client.ts";

const flags = {
  ...connectionFlags,
  topic: {
    type: "string",
    alias: "t",
    env: "LOGAGENT_TOPIC",
    description: "Topic to write to; without it the first word is the topic",
  },
  value: { type: "string", alias: "v", multiple: true, description: "Send this value instead of reading input" },
  allowEmpty: { type: "boolean", description: "Let --value be empty" },
  inputFormat: {
    type: "choice",
    alias: "i",
    options: ["lines", "json", "whole"],
    default: "lines",
    description: "lines: a record a line; json: records as consume prints them; whole: a record a file",
  },
  key: { type: "string", alias: "k", description: "Key of every record" },
  keyDelimiter: {
    type: "string",
    alias: "K",
    value: "TEXT",
    description: "Each line is key, delimiter, value; a line without it has the key of --key, or none",
  },
  header: { type: "string", alias: "H", multiple: true, value: "NAME=VALUE", description: "Header of every record" },
  tombstone: { type: "boolean", alias: "Z", description: "Send one record without a value (null); needs --key" },
  nullValue: { type: "boolean", description: "Empty values become null" },
  partition: { type: "integer", alias: "p", min: 0, max: 2_147_483_647, description: "Write to this partition only" },
  partitioner: {
    type: "choice",
    options: ["sticky", "round-robin", "random", "key"],
    description: "How partitions are chosen; default key (as Java's) where there is a key, else sticky",
  },
  ...producerFlags,
  transactionalId: {
    type: "string",
    group: "Delivery",
    value: "ID",
    description:
      "With exactly-once: the transactional id; a running producer with the same id is fenced; default random",
  },
  rate: {
    type: "integer",
    min: 0,
    default: 0,
    value: "RECORDS/s",
    description: "Most records per second; 0: no limit",
  },
  timeout: {
    type: "duration",
    default: 60_000,
    min: 1,
    description: "Give up (69) when nothing was acknowledged for so long",
  },
  deliveryTimeout: {
    type: "duration",
    min: 1,
    description: "Give up (69) when a record waits for so long; default never",
  },
  outputFormat: {
    type: "string",
    alias: "o",
    value: "FORMAT",
    description: "Print a line for each acknowledged record: %t topic, %p partition, %o offset, %T timestamp",
  },
} as const;

/** transaction.timeout.ms: how long a dead producer holds readers of committed records back. */
const transactionTimeout = 15_000;

type ProduceFlags = FlagValues<typeof flags>;

export default defineCommand({
  name: "produce",
  description: "Send records: the given values, or the lines of files or of stdin.",
  flags,
  words: { name: "[TOPIC] FILE", many: true },
  examples: [
    "logagent produce web_log < access.log",
    "logagent produce --topic web_log --compression zstd access.log.1 access.log",
    "logagent produce orders --key 17 --value '{\"id\":17}' --output-format '%p %o'",
    "logagent consume orders -O start -e -f json | logagent produce copy --input-format json",
  ],
  async run({ flags, words, log }) {
    const { topic, files } = target(flags, words);
    const options = recordOptions(flags, topic);
    const toParcels = flags.inputFormat === "json" ? jsonRecords(options) : plainRecords(options);
    const values = givenValues(flags, files);
    const connection = connectionOf(flags, log);
    const output = new OutputBuffer(process.stdout);
    const writeAck = flags.outputFormat === undefined ? null : compileAckFormat(flags.outputFormat);

    const { createClient } = await import("../kafka/cluster/create-client.ts");
    const client = createClient(connection, log);
    const producer = { ...producerOptions(flags), onEvent: (event: SinkEvent) => session.noticed(event) };
    const sink = await createSink(flags, client, producer, log);
    const session: Session = new Session(
      sink,
      {
        timeout: flags.timeout,
        deliveryTimeout: flags.deliveryTimeout ?? null,
        rate: flags.rate,
        onAcked: (batch, outcome) => {
          if (!writeAck) return;
          output.text(writeAck(batch, outcome));
          // What cannot be printed is told at the end: it is no reason to leave records unsent.
          output.flush().catch(() => {});
        },
      },
      log,
    );
    const hurry = new AbortController();
    const until = untilSignal({ onSecond: () => hurry.abort(), ignorePipe: true });
    const input: Input = { read: 0, rest: null };
    try {
      const failure = await sendAll(session, topic, values, files, toParcels, until.signal, input);
      await session.finish(hurry.signal);
      if (failure) throw failure;
      if (until.received !== null && (input.rest !== null || session.open > 0)) {
        return interrupted(until.received, session, input, log);
      }
      await output.end();
    } finally {
      until.release();
      await sink.close();
    }
    return verdict(session, log);
  },
});

/** With exactly-once, transactions as large and as long as tail's. */
async function createSink(flags: ProduceFlags, client: KafkaClient, options: ProducerOptions, log: Log): Promise<Sink> {
  const { createProducer, createTransactionalProducer } = await import("../kafka/producer/idempotent-producer.ts");
  const [clock, random] = [systemClock, Math.random];
  if (flags.delivery === "at-least-once") {
    if (flags.transactionalId === undefined) return createProducer(client, options, clock, random, log);
    throw new LogagentError("USAGE", "producing: --transactional-id needs --delivery exactly-once");
  }
  const { CommittingSink } = await import("../kafka/transactions/auto-committing-sink.ts");
  const { createTransactionCoordinator } = await import("../kafka/transactions/coordinator.ts");
  const transactionalId = flags.transactionalId ?? `logagent.produce.${randomUUID()}`;
  const identity = { transactionalId, group: transactionalId, timeoutMs: transactionTimeout };
  return new CommittingSink({
    sink: createTransactionalProducer(client, { ...options, transactionalId }, clock, random, log),
    coordinator: (signal) => createTransactionCoordinator(identity, { client, clock, random, log, signal }),
    clock,
    random,
    timeoutMs: transactionTimeout,
    shared: flags.transactionalId !== undefined,
    transactionBytes: 16 << 20,
    transactionInterval: 250,
  });
}

/** The first word is the topic unless --topic is given; the others are files. */
function target(flags: ProduceFlags, words: readonly string[]): { topic: string | null; files: string[] } {
  const topic = flags.topic ?? words[0] ?? null;
  if (topic !== null) checkTopicName(topic);
  else if (flags.inputFormat !== "json") {
    throw new LogagentError("USAGE", "producing: a topic is missing, as a word or with --topic");
  }
  const files = flags.topic === undefined ? words.slice(1) : [...words];
  return { topic, files };
}

function recordOptions(flags: ProduceFlags, topic: string | null): RecordOptions {
  if (flags.partition !== undefined && flags.partitioner !== undefined) {
    throw new LogagentError("USAGE", "producing: --partition and --partitioner exclude each other");
  }
  if (flags.keyDelimiter === "") throw new LogagentError("USAGE", "producing: --key-delimiter must not be empty");
  if (flags.keyDelimiter !== undefined && flags.inputFormat !== "lines") {
    throw new LogagentError("USAGE", "producing: --key-delimiter goes with --input-format lines only");
  }
  const partitioner: Partitioner | null = flags.partition ?? flags.partitioner ?? null;
  return {
    topic,
    partitioner,
    key: flags.key === undefined ? null : Buffer.from(flags.key),
    keyDelimiter: flags.keyDelimiter === undefined ? null : unescapeText(flags.keyDelimiter),
    nullValue: flags.nullValue || flags.tombstone,
    headers: flags.header.map(parseHeader),
  };
}

function parseHeader(text: string): Header {
  const at = text.indexOf("=");
  if (at <= 0) throw new LogagentError("USAGE", `producing: --header must be NAME=VALUE; got "${text}"`);
  return { key: text.slice(0, at), value: Buffer.from(text.slice(at + 1)) };
}

/** Null when input is to be read. */
function givenValues(flags: ProduceFlags, files: string[]): readonly Uint8Array[] | null {
  const usage = (message: string) => new LogagentError("USAGE", `producing: ${message}`);
  if (flags.tombstone) {
    if (flags.value.length > 0 || files.length > 0)
      throw usage("--tombstone sends no value; leave --value and files out");
    if (flags.key === undefined) throw usage("--tombstone needs --key: a tombstone deletes a key");
    return [Buffer.alloc(0)];
  }
  if (flags.value.length > 0) {
    if (files.length > 0) throw usage(`--value and files exclude each other; got "${files[0]}"`);
    if (flags.value.includes("") && !flags.allowEmpty && !flags.nullValue) {
      throw usage("--value is empty; give --allow-empty to send an empty value, --tombstone to send null");
    }
    return flags.value.map((value) => Buffer.from(value));
  }
  if (flags.inputFormat === "whole") return (files.length > 0 ? files : ["-"]).map(wholeFile);
  if (files.length === 0) files.push("-");
  return null;
}

function wholeFile(path: string): Buffer {
  try {
    return readFileSync(path === "-" ? 0 : path);
  } catch (error) {
    throw new LogagentError("FILE_IO", `reading "${path}": ${(error as Error).message}`, error);
  }
}

function producerOptions(flags: ProduceFlags) {
  return {
    acks: ({ "0": 0, "1": 1, all: -1 } as const)[flags.acks],
    compression: flags.compression,
    ...(flags.compressionLevel === undefined ? {} : { compressionLevel: flags.compressionLevel }),
    lingerMs: flags.linger,
    batchBytes: flags.batchSize,
    memoryBytes: flags.bufferMemory,
    ...(flags.requestTimeout === undefined ? {} : { requestTimeout: flags.requestTimeout }),
  };
}

function verdict(session: Session, log: Log): number {
  if (session.dropped === 0) return 0;
  log.error(`${session.dropped} records were refused by the broker and are not in the topic`);
  // What a record says of itself is the input's fault, its size the topic's limit.
  const own = [...session.droppedFor].every((name) => name === "INVALID_TIMESTAMP" || name === "INVALID_RECORD");
  return own ? exitCodes.BAD_INPUT : exitCodes.BROKER_REFUSED;
}
