import { LogagentError } from "../../errors.ts";

/** Where bytes came from, for messages. */
export interface Source {
  readonly topic: string;
  readonly partition: number;
}

/** Bytes of a partition that are not what Kafka's record format allows. Exit code 65. */
export class DecodeError extends LogagentError {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the batch, or the one that was asked for where not even that could be read. */
  readonly offset: number;

  constructor(source: Source, offset: number, reason: string, cause?: unknown) {
    super("BAD_INPUT", `reading ${source.topic}/${source.partition} at offset ${offset}: ${reason}`, cause);
    this.topic = source.topic;
    this.partition = source.partition;
    this.offset = offset;
  }
}
