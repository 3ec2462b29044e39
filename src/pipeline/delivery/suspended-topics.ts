/**
 * Topics that are gone while others are there. What was appended for them waits in the sink and is part of no transaction;
 * the positions of their files wait in the ledger and are part of no checkpoint, since those of an earlier cut may have
 * moved over lines that wait now. All of it goes on when the topic is there again.
 */
import type { Cut, TransactionalSink } from "../../kafka/producer/sink.ts";
import type { Log } from "../../observe/log.ts";
import { Seldom } from "../../observe/log-throttle.ts";
import type { Clock } from "../../runtime.ts";
import type { Journal } from "../../state/journal.ts";
import type { Delta } from "../checkpoint/dirty-files.ts";
import type { CheckpointSource } from "./delivery.ts";

export interface HeldTopicsOptions {
  sink: TransactionalSink;
  journal: Journal;
  clock: Clock;
  log: Log;
}

export class HeldTopics {
  private readonly options: HeldTopicsOptions;
  private readonly seldom: Seldom;
  private readonly topics = new Set<string>();

  constructor(options: HeldTopicsOptions) {
    this.options = options;
    this.seldom = new Seldom(options.clock);
  }

  get names(): ReadonlySet<string> {
    return this.topics;
  }

  /** Lets go of topics that are there again, reminds of the others; true if there is one to let go of. */
  review(): boolean {
    const { sink, log } = this.options;
    let returned = false;
    for (const topic of this.topics) {
      if (sink.isMissing(topic)) this.remind(topic);
      else {
        this.topics.delete(topic);
        this.seldom.clear(topic);
        log.info("the topic is there again: its lines go on", { topic });
        returned = true;
      }
    }
    return returned;
  }

  /** After a transaction failed: takes out of the cut what is for topics that are missing; true if there was some. */
  async takeOut(cut: Cut): Promise<boolean> {
    const { sink } = this.options;
    const missing = await sink.missingTopics(cut);
    if (missing.size === 0) return false;
    sink.takeOut(cut, missing);
    for (const topic of missing) {
      this.topics.add(topic);
      this.remind(topic);
    }
    return true;
  }

  /** What changed, as far as a checkpoint may hold it now; null when there is nothing. */
  take(source: CheckpointSource): Delta | null {
    const delta = source.take();
    if (delta === null || this.topics.size === 0) return delta;
    const { state } = this.options.journal;
    const waits = (input: string | undefined) =>
      input !== undefined && source.topicsOf(input).some((topic) => this.topics.has(topic));
    const waiting = {
      files: delta.files.filter(({ input }) => waits(input)),
      removed: delta.removed.filter((key) => waits(state.get(key)?.input)),
    };
    source.putBack(waiting);
    const files = delta.files.filter((file) => !waiting.files.includes(file));
    const removed = delta.removed.filter((key) => !waiting.removed.includes(key));
    return files.length + removed.length > 0 ? { files, removed } : null;
  }

  private remind(topic: string): void {
    if (this.seldom.say(topic) === null) return;
    this.options.log.warn("the topic is missing: the lines of its inputs wait in their files, the others go on", {
      topic,
    });
  }
}
