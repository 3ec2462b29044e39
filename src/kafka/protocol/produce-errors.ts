/** What codes mean in the answer to a Produce request, beyond the protocol's own table. */
import { codes } from "./errors.ts";

/** The broker does not know, or has moved past, the producer's identity or sequence (KIP-360). */
export const lostStateCodes: ReadonlySet<number> = new Set([
  codes.OUT_OF_ORDER_SEQUENCE_NUMBER,
  codes.UNKNOWN_PRODUCER_ID,
  codes.INVALID_PRODUCER_EPOCH,
  codes.INVALID_PRODUCER_ID_MAPPING,
  codes.PRODUCER_FENCED,
]);

/** The broker will never take the batch as it is: parts of it may do. Two of them may have other causes, see `ProduceVerdict`. */
export const splittable: ReadonlySet<number> = new Set([
  codes.MESSAGE_TOO_LARGE,
  codes.RECORD_LIST_TOO_LARGE,
  codes.INVALID_RECORD,
  codes.INVALID_TIMESTAMP,
]);

/** Errors after which the batch may be in the leader's log all the same. */
export const mayHaveAppended: ReadonlySet<number> = new Set([
  codes.REQUEST_TIMED_OUT,
  codes.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  codes.NETWORK_EXCEPTION,
  codes.UNKNOWN_SERVER_ERROR,
  codes.KAFKA_STORAGE_ERROR,
]);
