/** What is believed of a broker at most. Beyond it an answer is malformed, or taken for the limit where that does no harm. */
export const limits = {
  /** Bytes of one answer: of a fetch, whose size a topic's largest batch decides, and of all others. */
  fetchBytes: 256 << 20,
  answerBytes: 32 << 20,
  /** Partitions of one topic, and so their highest number: each takes memory here. */
  partitions: 100_000,
  /** Milliseconds of one throttle time. Brokers count quotas in windows of 11 s by default. */
  throttleMs: 60_000,
  /** PBKDF2 rounds of SCRAM, which no signal can interrupt: about a second. Kafka's default is 4,096. */
  scramIterations: 1_000_000,
} as const;
