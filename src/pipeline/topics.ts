import { backoff } from "../backoff.ts";
import type { InputConfig } from "../config/types.ts";
import { LogagentError } from "../errors.ts";
import type { Sink } from "../kafka/producer/sink.ts";
import { KafkaError } from "../kafka/protocol/errors.ts";
import type { Log } from "../observe/log.ts";
import { Seldom } from "../observe/log-throttle.ts";
import { type Clock, type Random, sleep } from "../runtime.ts";

export interface TopicsOptions {
  sink: Sink;
  clock: Clock;
  random: Random;
  log: Log;
  /** Creates the topic; no error when it exists already. */
  create: (topic: string, how: { partitions: number; replication: number }) => Promise<void>;
  /** Resolves when the brokers were reached for the first time. */
  connected: Promise<void>;
  signal: AbortSignal;
  /** Throw what an operator must mend, instead of waiting until it is mended. */
  impatient: boolean;
}

/**
 * Milliseconds between the first tries to create a topic anew that was deleted, and at most. The first wait is for whoever
 * deleted it, and may be about to create it otherwise; and for brokers that start, which forget topics for a moment.
 */
const firstWait = 5000;
const longestWait = 60_000;

/**
 * Waits for topics, once each, for ever: a missing one is said once and then seldom. One that is deleted later while lines
 * wait for it is created again if it was to be created in the first place.
 */
export class Topics {
  private readonly options: TopicsOptions;
  private readonly seldom: Seldom;
  private readonly waiting = new Map<string, Promise<void>>();
  private readonly readyTopics = new Set<string>();
  /** By name, as they were last started. */
  private readonly inputs = new Map<string, InputConfig>();
  /** Topics that are being created anew. */
  private readonly returning = new Set<string>();

  constructor(options: TopicsOptions) {
    this.options = options;
    this.seldom = new Seldom(options.clock);
    options.sink.onMissing((topic) => void this.createAgain(topic));
  }

  get ready(): readonly string[] {
    return [...this.readyTopics];
  }

  /** Resolves when the topic may be written to (or never, after the signal). */
  async wait(config: InputConfig): Promise<void> {
    const { name, topic } = config;
    this.inputs.set(name, config);
    if (this.readyTopics.has(topic)) return;
    let waiting = this.waiting.get(topic);
    if (!waiting) {
      waiting = this.prepare(config).finally(() => this.waiting.delete(topic));
      this.waiting.set(topic, waiting);
    }
    await waiting;
  }

  private async prepare({ topic, createTopic }: InputConfig): Promise<void> {
    const { sink, clock, random, log, create, connected, signal } = this.options;
    await connected;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        if (createTopic) await create(topic, createTopic);
        await sink.prepare(topic);
        if (attempt > 0) log.info("the topic can be written to", { topic });
        this.readyTopics.add(topic);
        return;
      } catch (error) {
        if (signal.aborted) break;
        if (!(error instanceof LogagentError || error instanceof KafkaError)) throw error;
        if (this.options.impatient && error instanceof LogagentError && error.code === "AUTHORIZATION") throw error;
        if (this.seldom.say(topic) !== null) log.error(hint(error, topic), { topic });
      }
      await sleep(clock, backoff(attempt + 1, random, 500, 15_000), signal);
    }
    await new Promise(() => {});
  }

  private async createAgain(topic: string): Promise<void> {
    const { clock, random, log, create, signal } = this.options;
    if (!this.readyTopics.has(topic) || !this.creation(topic) || this.returning.has(topic)) return;
    this.returning.add(topic);
    for (let attempt = 1; ; attempt++) {
      await sleep(clock, backoff(attempt, random, firstWait, longestWait), signal);
      const how = this.creation(topic);
      if (signal.aborted || !how) break;
      try {
        await create(topic, how);
        break;
      } catch (error) {
        if (!(error instanceof LogagentError || error instanceof KafkaError)) throw error;
        if (this.seldom.say(topic) !== null) log.error(`${error.message}; trying again`, { topic });
      }
    }
    this.returning.delete(topic);
  }

  private creation(topic: string): InputConfig["createTopic"] | undefined {
    return [...this.inputs.values()].find((input) => input.topic === topic && input.createTopic)?.createTopic;
  }
}

function hint(error: LogagentError | KafkaError, topic: string): string {
  // The producer's words, which speak of `topics create` alone; the agent can create the topic itself.
  const text = error.message.replace(/; create it with (`.*`)$/, "; create it with --create-topic PARTITIONS or $1");
  const missing = text === error.message && /does not exist|UNKNOWN_TOPIC/i.test(text);
  const help = missing ? `; create it with --create-topic PARTITIONS or \`logagent topics create ${topic}\`` : "";
  return `${text}${help}; trying again`;
}
