/** Shared by the tests of what the systems before this one did: a directory, a topic on the shared node and the program against it. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { readTopic } from "../faults/read-topic.ts";
import { createTopic, sharedKafka, uniqueTopic } from "../kafka/broker.ts";
import { logagent, type Running, type SpawnOptions, startLogagent } from "../support/process.ts";
import { tempDir } from "../support/temp.ts";
import { waitFor } from "../support/wait.ts";

export class Place {
  readonly dir: string;
  readonly brokers: string;
  private readonly agents: Running[] = [];

  constructor(dir: string, brokers: string) {
    this.dir = dir;
    this.brokers = brokers;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  topic(name: string, partitions = 1): Promise<string> {
    return createTopic(this.brokers, uniqueTopic(name), partitions);
  }

  /** A command that ends by itself; `--brokers` is added. */
  run(words: readonly string[], options: SpawnOptions = {}) {
    return logagent([...words, "--brokers", this.brokers], { cwd: this.dir, ...options });
  }

  /** `tail` in the background, with a state of its own. */
  tail(words: readonly string[], options: SpawnOptions = {}): Running {
    const state = ["--state", join(mkdtempSync(this.path("state-")), "state.jsonl"), "--brokers", this.brokers];
    const agent = startLogagent(["tail", ...words, ...state], { cwd: this.dir, ...options });
    this.agents.push(agent);
    return agent;
  }

  /** Any command in the background. */
  start(words: readonly string[], options: SpawnOptions = {}): Running {
    const running = startLogagent([...words, "--brokers", this.brokers], { cwd: this.dir, ...options });
    this.agents.push(running);
    return running;
  }

  async stopAll(): Promise<void> {
    for (const agent of this.agents.splice(0)) await agent.stop("SIGKILL");
  }
}

export async function makePlace(name: string): Promise<Place> {
  return new Place(tempDir(name), (await sharedKafka()).brokers);
}

/** The topic's values, by a client that is not ours; per partition in order, partitions as they came. */
export async function values(brokers: string, topic: string, partition?: number): Promise<string[]> {
  const list: string[] = [];
  await readTopic(brokers, topic, (at, value) => {
    if (partition === undefined || at === partition) list.push(value);
  });
  return list;
}

/** Waits until the topic holds as many records and returns them. */
export function untilValues(brokers: string, topic: string, count: number): Promise<string[]> {
  return waitFor(
    `${count} records in ${topic}`,
    async () => {
      const list = await values(brokers, topic);
      return list.length >= count ? list : null;
    },
    { every: 200 },
  );
}
