/**
 * The flags of `logagent tail`. Each is also a key of the config file, with `_` for `-`: those of `inputFlags` in an input
 * or in `defaults`, the others in the section their group names. `load-agent.ts` makes one `AgentConfig` of all.
 */
import type { Flags } from "./flag.ts";
import { connectionFlags, producerFlags } from "./flags.ts";

/** What an input of its own may have; on the command line they hold for every input. */
export const inputFlags = {
  topic: {
    type: "string",
    alias: "t",
    env: "LOGAGENT_TOPIC",
    group: "Records",
    description: "Topic to write to",
  },
  key: {
    type: "string",
    alias: "k",
    value: "TEMPLATE",
    env: "LOGAGENT_KEY",
    group: "Records",
    description: "Record key, of text and {input} {path} {file} {host} {offset} {line_number}; default null",
  },
  header: {
    type: "string",
    alias: "H",
    multiple: true,
    value: "NAME=TEMPLATE",
    group: "Records",
    description: "Record header, with the same placeholders",
  },
  partition: {
    type: "integer",
    alias: "p",
    min: 0,
    max: 2_147_483_647,
    env: "LOGAGENT_PARTITION",
    group: "Records",
    description: "Write to this partition only",
  },
  partitioner: {
    type: "choice",
    options: ["sticky", "round-robin", "random", "key"],
    env: "LOGAGENT_PARTITIONER",
    group: "Records",
    description: "How partitions are chosen; default key (as Java's) with --key, else sticky",
  },
  format: {
    type: "choice",
    options: ["raw", "json"],
    default: "raw",
    env: "LOGAGENT_FORMAT",
    group: "Records",
    description: "Value: the line's bytes, or a JSON object of line, path, host and offset",
  },
  createTopic: {
    type: "string",
    value: "PARTITIONS[:REPLICATION]",
    env: "LOGAGENT_CREATE_TOPIC",
    group: "Records",
    description: "Create the topic if it does not exist",
  },
  from: {
    type: "string",
    value: "beginning|end|+BYTES|-BYTES",
    env: "LOGAGENT_FROM",
    group: "Files",
    description:
      "Where files start that the very first scan finds without a state; default end, with --once beginning. Files that appear later start at their beginning",
  },
  ignore: {
    type: "string",
    multiple: true,
    value: "GLOB",
    group: "Files",
    description: "Leave out files that match",
  },
  noReopen: {
    type: "boolean",
    env: "LOGAGENT_NO_REOPEN",
    group: "Files",
    description: "Do not follow the name to a new file after a rotation",
  },
  pollMin: {
    type: "duration",
    default: 8,
    min: 1,
    env: "LOGAGENT_POLL_MIN",
    group: "Files",
    description: "Shortest time between two looks at a busy file",
  },
  pollMax: {
    type: "duration",
    default: 1000,
    min: 1,
    env: "LOGAGENT_POLL_MAX",
    group: "Files",
    description: "Longest time between two looks at a quiet file",
  },
  noWatch: {
    type: "boolean",
    env: "LOGAGENT_NO_WATCH",
    group: "Files",
    description: "Poll only, without file-system events",
  },
  maxHeld: {
    type: "size",
    default: 0,
    env: "LOGAGENT_MAX_HELD",
    group: "Files",
    description: "Most bytes of deleted files to hold; the oldest beyond it are lost and counted; 0 is no limit",
  },
  maxOpenFiles: {
    type: "integer",
    default: 512,
    min: 1,
    env: "LOGAGENT_MAX_OPEN_FILES",
    group: "Files",
    description: "Most descriptors an input keeps open",
  },
  include: {
    type: "string",
    multiple: true,
    value: "REGEX",
    group: "Lines",
    description: "Send only lines that match (one of them)",
  },
  exclude: {
    type: "string",
    multiple: true,
    value: "REGEX",
    group: "Lines",
    description: "Do not send lines that match (one of them)",
  },
  maxLineBytes: {
    type: "size",
    default: 1_000_000,
    min: 1,
    max: 1_000_000_000,
    env: "LOGAGENT_MAX_LINE_BYTES",
    group: "Lines",
    description: "Longest line; see --too-long",
  },
  tooLong: {
    type: "choice",
    options: ["split", "cut", "skip"],
    default: "split",
    env: "LOGAGENT_TOO_LONG",
    group: "Lines",
    description: "What becomes of a longer line: several records, its beginning, or nothing; counted and logged",
  },
  trimCr: {
    type: "boolean",
    env: "LOGAGENT_TRIM_CR",
    group: "Lines",
    description: "Remove a carriage return at the end of the line",
  },
  encoding: {
    type: "choice",
    options: ["raw", "utf-8", "utf-16le", "utf-16be", "latin1", "auto"],
    default: "raw",
    env: "LOGAGENT_ENCODING",
    group: "Lines",
    description: "Encoding of the files; raw sends the bytes as they are, others become UTF-8",
  },
  multilineStart: {
    type: "string",
    value: "REGEX",
    group: "Lines",
    description: "Lines that do not match belong to the record before them",
  },
  multilineContinuation: {
    type: "string",
    value: "REGEX",
    group: "Lines",
    description: "Lines that match belong to the record before them",
  },
  multilineTimeout: {
    type: "duration",
    default: 1000,
    group: "Lines",
    description: "A multi-line record ends when nothing more came for so long",
  },
  multilineMaxBytes: {
    type: "size",
    default: 1_000_000,
    min: 1,
    group: "Lines",
    description: "A longer multi-line record is ended",
  },
  rateLimit: {
    type: "integer",
    default: 0,
    min: 0,
    value: "LINES/s",
    env: "LOGAGENT_RATE_LIMIT",
    group: "Lines",
    description: "Most lines per second of an input; slows, never drops; 0 is no limit",
  },
} as const satisfies Flags;

/** Settings of the agent as a whole. */
export const agentFlags = {
  state: {
    type: "string",
    value: "FILE",
    env: "LOGAGENT_STATE",
    group: "Agent",
    description:
      "State journal; default state.jsonl in $STATE_DIRECTORY, /var/lib/logagent (root), $XDG_STATE_HOME/logagent or ~/.local/state/logagent",
  },
  agentId: {
    type: "string",
    value: "ID",
    env: "LOGAGENT_AGENT_ID",
    group: "Agent",
    description: "Identity for exactly-once, instead of the one made for the state file",
  },
  transactionInterval: {
    type: "duration",
    default: 250,
    min: 1,
    env: "LOGAGENT_TRANSACTION_INTERVAL",
    group: "Delivery",
    description: "exactly-once: time after which a transaction is committed",
  },
  transactionSize: {
    type: "size",
    default: 16_000_000,
    min: 1024,
    env: "LOGAGENT_TRANSACTION_SIZE",
    group: "Delivery",
    description: "exactly-once: size at which a transaction is committed",
  },
  checkpointInterval: {
    type: "duration",
    default: 1000,
    min: 1,
    env: "LOGAGENT_CHECKPOINT_INTERVAL",
    group: "Agent",
    description: "at-least-once: time between two writes of the positions",
  },
  drainTimeout: {
    type: "duration",
    default: 10_000,
    env: "LOGAGENT_DRAIN_TIMEOUT",
    group: "Agent",
    description: "Longest wait at a stop for what is in flight",
  },
  metricsListen: {
    type: "string",
    value: "HOST:PORT",
    env: "LOGAGENT_METRICS_LISTEN",
    group: "Agent",
    description: "Serve /metrics, /livez and /readyz",
  },
} as const satisfies Flags;

/** Of one run; not in the config file. */
export const runFlags = {
  config: {
    type: "string",
    alias: "c",
    value: "FILE",
    env: "LOGAGENT_CONFIG",
    description: "YAML file with the inputs and everything else; watched for changes, SIGHUP reloads it",
  },
  once: { type: "boolean", description: "Send what is in the files now, wait for the acknowledgements, end" },
  timeout: {
    type: "duration",
    default: 60_000,
    description: "With --once: end with 69 after so long without progress",
  },
  dryRun: {
    type: "boolean",
    alias: "n",
    description: "No broker, no state: print what would be sent, as JSON, and end",
  },
  mustExist: { type: "boolean", description: "End with 74 if a named file does not exist" },
  printAcks: { type: "boolean", description: "Print topic, partition and offset of what is acknowledged" },
  recover: {
    type: "choice",
    options: ["repeat", "skip"],
    description: "exactly-once, when Kafka has lost the checkpoint's number: repeat or skip what is in doubt",
  },
  newDestination: { type: "boolean", description: "Go on with a state that belongs to another cluster or topic" },
} as const satisfies Flags;

export const tailFlags = {
  ...runFlags,
  ...inputFlags,
  ...producerFlags,
  ...agentFlags,
  ...connectionFlags,
} as const satisfies Flags;
