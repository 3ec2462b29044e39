/** The partitions a reader was given, and where it is in each. */

export interface Assignment {
  topic: string;
  partition: number;
  offset: number;
  /** Exclusive; Infinity: follow for ever. */
  end: number;
}

export interface PartitionState extends Assignment {
  /** 16 bytes, hex, of the topic that is being read; null where the broker has none. */
  topicId: string | null;
  /** Node to read from instead of the leader; -1 is none. */
  replica: number;
  /** Not fetched before this time (`performance.now()`). */
  readyAt: number;
  /** Answers in a row without data although the broker says that the end lies behind. */
  emptyAnswers: number;
  /** Answers in a row that came at once and without records. */
  hurried: number;
  /** Errors in a row of this partition alone. */
  failures: number;
  /** Requests in a row that its broker did not answer. */
  unanswered: number;
  /** When the first of either came (`performance.now()`). */
  failingSince: number;
}

export function newPartition(assignment: Assignment, topicId: string | null): PartitionState {
  const trouble = { failures: 0, unanswered: 0, failingSince: 0 };
  return { ...assignment, ...trouble, topicId, replica: -1, readyAt: 0, emptyAnswers: 0, hurried: 0 };
}

/** For messages: the first three. */
export function nameOf(states: readonly { topic: string; partition: number }[]): string {
  const names = states.slice(0, 3).map(({ topic, partition }) => `${topic}/${partition}`);
  return states.length > 3 ? `${names.join(", ")} and ${states.length - 3} more` : names.join(", ");
}
