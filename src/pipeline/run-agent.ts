import { constants, hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import type { AgentConfig } from "../config/types.ts";
import { messageOf } from "../errors.ts";
import { ensureTopic } from "../kafka/admin/topics.ts";
import type { KafkaClient } from "../kafka/cluster/client.ts";
import { createClient } from "../kafka/cluster/create-client.ts";
import { createProducer, createTransactionalProducer } from "../kafka/producer/idempotent-producer.ts";
import type { Batch, Outcome } from "../kafka/producer/sink.ts";
import { createTransactionCoordinator } from "../kafka/transactions/coordinator.ts";
import type { Log } from "../observe/log.ts";
import { keepMemory } from "../observe/memory-limit.ts";
import { createMetrics, type Metrics } from "../observe/metrics.ts";
import { serveMetrics } from "../observe/server.ts";
import { heldSignals, systemClock } from "../runtime.ts";
import type { Journal } from "../state/journal.ts";
import { openState } from "../state/open.ts";
import { availableDescriptors, DescriptorBudget } from "../tail/files/descriptor-budget.ts";
import { nodeFs } from "../tail/fs/fs.ts";
import { createTailer } from "../tail/tailer.ts";
import { commit, version } from "../version.ts";
import { Agent } from "./agent.ts";
import { watchConfigFile } from "./config-watch.ts";
import { AtLeastOnce } from "./delivery/at-least-once.ts";
import type { Delivery } from "./delivery/delivery.ts";
import { ExactlyOnce } from "./delivery/exactly-once.ts";

const clock = systemClock;
const random = Math.random;

/** transaction.timeout.ms: so long readers of committed records wait at most for a dead agent. */
const transactionTimeout = 15_000;

/** Bytes: what an agent at work takes besides the batches that wait to be sent. */
const workingMemory = 60e6;

/** `tail` with the real files, brokers and signals; the exit code. `load` reads the configuration anew. */
export async function runAgent(config: AgentConfig, load: () => AgentConfig, log: Log): Promise<number> {
  for (const warning of config.warnings) log.warn(warning);
  const fallBack = config.delivery === "at-least-once";
  const client = createClient(config.connection, log);
  const state = await openState({ path: config.state, log, fallBack, agentId: config.agentId, clock });
  const metrics = createMetrics();
  metrics.set("build_info", { version, commit }, 1);
  const abort = new AbortController();
  const delivery = makeDelivery(config, client, state.journal, log, metrics, abort);
  const env = {
    fs: nodeFs,
    clock,
    random,
    own: [realOf(config.state)],
    budget: new DescriptorBudget(availableDescriptors()),
  };
  const agent = new Agent({
    config,
    linger: spacing(config),
    journal: state.journal,
    delivery,
    createTailer: (options, claims) => createTailer(options, claims ? { ...env, claims } : env),
    async connect() {
      await client.connect();
      return (await client.metadata([])).clusterId;
    },
    async createTopic(topic, { partitions, replication }) {
      const result = await ensureTopic(client, topic, partitions, replication);
      if (result === "created") log.info("the topic was created", { topic, partitions });
    },
    ...(config.printAcks ? { onSettled: printAck } : {}),
    host: hostname(),
    clock,
    random,
    log,
    metrics,
  });
  const letGrow = keepMemory({ clock, log, limit: workingMemory + config.producer.memoryBytes });
  const signals = handleSignals(agent, config, load, log, metrics);
  const health = { live: () => null, ready: () => agent.unready };
  try {
    const server = config.metricsListen === null ? null : await serveMetrics(config.metricsListen, metrics, health);
    if (server) log.info("metrics are served", { address: server.address });
    try {
      const code = await agent.run();
      const { unfinished } = agent.account;
      if (signals.stoppedBy === null || unfinished === null) return code;
      log[config.once ? "error" : "info"](`stopped by ${signals.stoppedBy}: ${unfinished}`);
      // Files that are followed have no end that was promised.
      return code === 0 && config.once ? 128 + constants.signals[signals.stoppedBy] : code;
    } finally {
      await server?.close();
    }
  } finally {
    signals.release();
    letGrow();
    abort.abort();
    await delivery.sink.close();
    await client.close();
    await state.close();
  }
}

/** Its directory without links: that is how files are found to be the state. */
function realOf(path: string): string {
  const directory = dirname(resolve(path));
  return join(nodeFs.realpath(directory) ?? directory, basename(path));
}

/** Milliseconds from one chunk to the next. Lines wait for the end of their transaction: no use in reading them at once. */
function spacing({ delivery, producer, transactionInterval }: AgentConfig): number {
  return delivery === "exactly-once" ? Math.max(producer.lingerMs, transactionInterval / 10) : producer.lingerMs;
}

function makeDelivery(
  config: AgentConfig,
  client: KafkaClient,
  journal: Journal,
  log: Log,
  metrics: Metrics,
  abort: AbortController,
): Delivery {
  const common = { journal, clock, log, metrics };
  const producer = {
    ...config.producer,
    holdInvalid: true,
    onProduced: (seconds: number) => metrics.observe("produce_seconds", {}, seconds),
    onProduceError: (code: string) => metrics.count("produce_errors_total", { code }),
  };
  if (config.delivery === "at-least-once") {
    // The feed lingers before it reads, for all files and partitions at once.
    const sink = createProducer(client, { ...producer, lingerMs: 0 }, clock, random, log);
    return new AtLeastOnce({ ...common, sink, interval: config.checkpointInterval });
  }
  const name = `logagent.${journal.header.agent}`;
  const { transactionBytes, transactionInterval, recover } = config;
  return new ExactlyOnce({
    ...common,
    sink: createTransactionalProducer(client, { ...producer, transactionalId: name }, clock, random, log),
    coordinator: createTransactionCoordinator(
      { transactionalId: name, group: name, timeoutMs: transactionTimeout },
      { client, clock, random, log, signal: abort.signal },
    ),
    random,
    transactionBytes,
    transactionInterval,
    recover,
    abort,
  });
}

/** `TOPIC PARTITION OFFSET RECORDS`, separated by tabs; the offset is that of the batch's first record. */
function printAck(batch: Batch, outcome: Outcome): void {
  if (outcome.kind !== "acked") return;
  process.stdout.write(`${batch.topic}\t${batch.partition}\t${outcome.offset}\t${batch.count}\n`);
}

/** SIGPIPE: the reader of standard output has left, told by main instead of a signal. */
type StopSignal = "SIGTERM" | "SIGINT" | "SIGPIPE";

/** The first SIGTERM or SIGINT stops cleanly, the second at once; SIGHUP and a changed file reload the inputs. */
function handleSignals(
  agent: Agent,
  config: AgentConfig,
  load: () => AgentConfig,
  log: Log,
  metrics: Metrics,
): { release: () => void; readonly stoppedBy: StopSignal | null } {
  let stoppedBy: StopSignal | null = null;
  const stop = (signal: StopSignal) => {
    if (stoppedBy === null) {
      stoppedBy = signal;
      log.info("stopping: waiting for what is in flight; a second signal quits at once", { signal });
      agent.stop();
      return;
    }
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  let reloading: Promise<void> = Promise.resolve();
  const reload = () => {
    if (config.configFile === null) {
      log.info("there is no config file to read again (--config)");
      return;
    }
    reloading = reloading.then(async () => {
      try {
        const changed = load();
        for (const warning of changed.warnings) log.warn(warning);
        await agent.reload(changed);
      } catch (error) {
        // Whatever is wrong with a file, it never ends an agent at work.
        metrics.count("reloads_total", { outcome: "refused" });
        log.error(`the changed configuration is not used, the old one stays: ${messageOf(error)}`);
      }
    });
  };
  const early = heldSignals();
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  process.on("SIGHUP", reload);
  for (const signal of early) process.emit(signal, signal);
  const unwatch = config.configFile === null ? () => {} : watchConfigFile(config.configFile, clock, reload);
  return {
    release() {
      unwatch();
      process.off("SIGTERM", stop);
      process.off("SIGINT", stop);
      process.off("SIGHUP", reload);
    },
    get stoppedBy() {
      return stoppedBy;
    },
  };
}
