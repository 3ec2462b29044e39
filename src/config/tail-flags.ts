/**
 * The flags of `logagent tail`. Each is also a key of the config file, with `_` for `-`: those of `inputFlags` in an input
 * or in `defaults`, the others in the section their group names. `load-agent.ts` makes one `AgentConfig` of all.
 */
import type { Flags } from "./flag.ts";
import { connectionFlags, producerFlags } from "./flags.ts";
import { inputFlags } from "./input-flags.ts";

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
