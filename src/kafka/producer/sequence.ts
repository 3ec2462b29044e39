/** Sequence numbers of the idempotent producer (KIP-98): 31 bits, wrapping. */

/** `DefaultRecordBatch.incrementSequence`: after 2^31 - 1 comes 0. */
export function incrementSequence(sequence: number, by: number): number {
  return sequence > 0x7fffffff - by ? by - (0x7fffffff - sequence) - 1 : sequence + by;
}

/** `DefaultRecordBatch.decrementSequence`. */
export function decrementSequence(sequence: number, by: number): number {
  return sequence < by ? 0x7fffffff - (by - sequence) + 1 : sequence - by;
}
