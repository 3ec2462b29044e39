import { backoff } from "../backoff.ts";
import type { InputConfig } from "../config/types.ts";
import { LogagentError } from "../errors.ts";
import { KafkaError } from "../kafka/errors.ts";
import type { Sink } from "../kafka/sink.ts";
import type { Log } from "../observe/log.ts";
import { Seldom } from "../observe/seldom.ts";
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

/** Waits for topics, once each, for ever: a missing one is said once and then seldom. */
export class Topics {
  private readonly options: TopicsOptions;
  private readonly seldom: Seldom;
  private readonly waiting = new Map<string, Promise<void>>();
  private readonly readyTopics = new Set<string>();

  constructor(options: TopicsOptions) {
    this.options = options;
    this.seldom = new Seldom(options.clock);
  }

  get ready(): readonly string[] {
    return [...this.readyTopics];
  }

  /** Resolves when the topic may be written to (or never, after the signal). */
  async wait(config: InputConfig): Promise<void> {
    const { topic } = config;
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
}

function hint(error: LogagentError | KafkaError, topic: string): string {
  // The producer's words, which speak of `topics create` alone; the agent can create the topic itself.
  const text = error.message.replace(/; create it with (`.*`)$/, "; create it with --create-topic PARTITIONS or $1");
  const missing = text === error.message && /does not exist|UNKNOWN_TOPIC/i.test(text);
  const help = missing ? `; create it with --create-topic PARTITIONS or \`logagent topics create ${topic}\`` : "";
  return `${text}${help}; trying again`;
}
