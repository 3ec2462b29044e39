/** Which topics and partitions the command line means. */
import { checkTopicName } from "../../config/topic-name.ts";
import { LogagentError } from "../../errors.ts";
import type { KafkaClient, TopicMetadata } from "../../kafka/cluster/client.ts";
import type { TopicPartition } from "../../kafka/cluster/list-offsets.ts";
import { codes, KafkaError } from "../../kafka/protocol/errors.ts";

/** Milliseconds between two looks of a reader that follows for new partitions and, with a pattern, new topics. */
export const discoveryDefault = 30_000;

export interface TopicSelection {
  names: string[];
  /** Any of them matches the whole name. */
  patterns: RegExp[];
}

/**
 * With `regex` every word is a pattern; else a word that begins with "^" is one, which no name can. Names are checked
 * here, before any connection. Throws LogagentError USAGE.
 */
export function selectTopics(words: readonly string[], regex: boolean): TopicSelection {
  if (words.length === 0)
    throw new LogagentError("USAGE", "reading records: a topic is missing, as a word or with --topic");
  const selection: TopicSelection = { names: [], patterns: [] };
  for (const word of new Set(words)) {
    if (regex || word.startsWith("^")) selection.patterns.push(pattern(word));
    else selection.names.push(checkTopicName(word));
  }
  return selection;
}

function pattern(word: string): RegExp {
  try {
    return new RegExp(`^(?:${word})$`);
  } catch (error) {
    throw new LogagentError("USAGE", `reading topic pattern "${word}": ${(error as Error).message}`, error);
  }
}

/** "0,2,5-7" → partitions; null when nothing was given. Throws LogagentError USAGE. */
export function parsePartitions(texts: readonly string[]): Set<number> | null {
  if (texts.length === 0) return null;
  const partitions = new Set<number>();
  for (const part of texts.flatMap((text) => text.split(","))) {
    const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (!match || last < first || last - first > 100_000) {
      throw new LogagentError("USAGE", `reading --partition "${part}": it must be a number, a list 0,2 or a range 5-7`);
    }
    for (let partition = first; partition <= last; partition++) partitions.add(partition);
  }
  return partitions;
}

/** The selection's topics as the cluster has them. Throws LogagentError when one does not exist or none matches. */
export async function findTopics(client: KafkaClient, selection: TopicSelection): Promise<TopicMetadata[]> {
  const all = selection.patterns.length > 0;
  const { topics } = await client.metadata(all ? null : selection.names);
  for (const name of selection.names) {
    const topic = topics.find((candidate) => candidate.name === name);
    checkTopic(name, topic);
  }
  const chosen = topics.filter(
    ({ name, isInternal }) =>
      selection.names.includes(name) || (!isInternal && selection.patterns.some((pattern) => pattern.test(name))),
  );
  if (chosen.length === 0) {
    const shown = selection.patterns.map(({ source }) => source.slice(4, -2)).join(", ");
    throw new LogagentError("BROKER_REFUSED", `reading topics ${shown}: no topic's name matches`);
  }
  return chosen;
}

function checkTopic(name: string, topic: TopicMetadata | undefined): void {
  const code = topic?.errorCode ?? codes.UNKNOWN_TOPIC_OR_PARTITION;
  if (code === codes.UNKNOWN_TOPIC_OR_PARTITION) {
    throw new LogagentError(
      "BROKER_REFUSED",
      `reading topic "${name}": it does not exist; create it with: logagent topics create ${name}`,
    );
  }
  if (code === codes.TOPIC_AUTHORIZATION_FAILED) {
    throw new LogagentError("AUTHORIZATION", `reading topic "${name}": the broker does not allow it`);
  }
  if (code !== 0 && code !== codes.LEADER_NOT_AVAILABLE) throw new KafkaError(code, `reading topic "${name}"`);
}

/** The wanted partitions of every topic. Throws LogagentError when a topic lacks one of them. */
export function partitionsOf(topics: readonly TopicMetadata[], wanted: ReadonlySet<number> | null): TopicPartition[] {
  return topics.flatMap(({ name, partitions }) => {
    for (const partition of wanted ?? []) {
      if (partition < partitions.length) continue;
      const last = partitions.length - 1;
      throw new LogagentError("BROKER_REFUSED", `reading ${name}/${partition}: the topic has partitions 0 to ${last}`);
    }
    return partitions
      .filter(({ partition }) => wanted === null || wanted.has(partition))
      .map(({ partition }) => ({ topic: name, partition }));
  });
}
