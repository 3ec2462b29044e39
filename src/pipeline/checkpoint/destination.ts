/**
 * What the positions of the state belong to: the cluster and each input's topic. An input is bound to its topic by its
 * first record that Kafka acknowledged there, so that a topic that was merely mistyped binds nothing; in a transaction
 * before that is committed, so that no kill leaves committed records of an input that is not bound.
 */
import type { InputConfig } from "../../config/types.ts";
import type { Batch, Outcome } from "../../kafka/producer/sink.ts";
import type { FileId } from "../../lines.ts";
import type { Log } from "../../observe/log.ts";
import type { Journal } from "../../state/journal.ts";
import { checkDestination } from "../../state/open.ts";

export interface DestinationOptions {
  journal: Journal;
  log: Log;
}

export class Destination {
  private readonly options: DestinationOptions;
  private cluster: string | null = null;
  /** Bound inputs and their topics, written to the journal or about to be. */
  private readonly topics: Map<string, string>;
  /** By input, of this run. */
  private readonly written = new Map<string, Set<string>>();
  /** The journal lacks some of `topics`. */
  private unwritten = false;
  /** Files of inputs that are not bound yet and have something on its way. */
  private readonly waiting = new Map<FileId, InputConfig>();

  constructor(options: DestinationOptions) {
    this.options = options;
    this.topics = new Map(Object.entries(options.journal.header.topics));
  }

  /** Throws LogagentError STATE_MISMATCH when an input is bound to another topic, or the state to another cluster. */
  check(inputs: readonly InputConfig[]): void {
    const { journal } = this.options;
    const header = { ...journal.header, topics: Object.fromEntries(this.topics) };
    const topics = Object.fromEntries(inputs.map(({ name, topic }) => [name, topic]));
    checkDestination({ path: journal.path, header }, { cluster: this.cluster, topics });
  }

  /** The brokers answered. With `renew` what was bound elsewhere is bound here from now on; else throws as `check`. */
  async reached(cluster: string | null, inputs: readonly InputConfig[], renew: boolean): Promise<void> {
    this.cluster = cluster;
    if (!renew) return this.check(inputs);
    for (const { name, topic } of inputs) if (this.topics.has(name)) this.topics.set(name, topic);
    if (this.topics.size === 0) return;
    const { journal, log } = this.options;
    await this.write().catch((error) => {
      if (journal.broken) throw error;
      log.error(`${(error as Error).message}; the destination will be written with the next checkpoint`);
    });
  }

  /** All topics that records of the input went to in this run. */
  topicsOf(input: string): readonly string[] {
    return [...(this.written.get(input) ?? [])];
  }

  /** Records of the file go to the sink. */
  appended(file: FileId, input: InputConfig): void {
    const written = this.written.get(input.name);
    if (written === undefined) this.written.set(input.name, new Set([input.topic]));
    else written.add(input.topic);
    if (this.topics.get(input.name) !== input.topic) this.waiting.set(file, input);
  }

  /** Binds the inputs whose first record this is; durably with the next `bind`. */
  settled(batch: Batch, outcome: Outcome): void {
    if (outcome.kind === "acked") this.note(batch);
  }

  /** Makes durable what is bound, also by these batches, which are about to be committed. Errors as `Journal.updateHeader`. */
  async bind(batches: readonly Batch[]): Promise<void> {
    for (const batch of batches) this.note(batch);
    if (this.unwritten) await this.write();
  }

  private note(batch: Batch): void {
    if (this.waiting.size === 0 || batch.count === 0) return;
    for (const { file } of batch.ranges) {
      const input = this.waiting.get(file);
      if (input === undefined || input.topic !== batch.topic) continue;
      this.waiting.delete(file);
      this.topics.set(input.name, input.topic);
      this.unwritten = true;
    }
  }

  private async write(): Promise<void> {
    const { journal } = this.options;
    const cluster = this.cluster ?? journal.header.cluster;
    this.unwritten = false;
    try {
      await journal.updateHeader({ cluster, topics: Object.fromEntries(this.topics) });
    } catch (error) {
      this.unwritten = true;
      throw error;
    }
  }
}
