/** A broker as a producer sees it, and the connections ("lanes") that Produce requests take to it. */
import { ConnectionError } from "../network/connection-error.ts";

/** Requests under way on the only lane, and on each of two; more only queue up there and take memory. */
const MAX_REQUESTS = 5;
const MAX_WIDE_REQUESTS = 3;
/**
 * Bytes under way on the first lane from which a second one is worth a connection: a broker reads, checks and appends the
 * requests of one connection one after another, with one of its processors.
 */
const WIDE_BYTES = 256 << 10;
/** Milliseconds for which one lane has to do where the second cannot be had: as a rule, and after many tries. */
const SHORTEST_NARROW = 10_000;
const LONGEST_NARROW = 3600_000;

export class Lane {
  readonly broker: ProducingBroker;
  /** Of its connection, see `ApiRequest`. */
  readonly name: string;
  /** Requests under way. */
  requests = 0;
  /** Bytes of the batches under way. */
  bytes = 0;

  constructor(broker: ProducingBroker, name: string) {
    this.broker = broker;
    this.name = name;
  }

  get full(): boolean {
    return this.requests >= (this.broker.isWide ? MAX_WIDE_REQUESTS : MAX_REQUESTS);
  }
}

/** A partition with something to send. */
interface Sending {
  readonly inFlight: number;
  /** Bytes of the batch it sends next. */
  readonly nextSize: number;
  lane: Lane | null;
}

export class ProducingBroker {
  readonly id: number;
  /** Requests in a row without an answer. */
  failures = 0;
  /** Nothing is sent before this monotonic time, milliseconds. */
  notBefore = 0;
  /** Bytes of the largest request that the broker reads, as far as is known. */
  requestLimit = Number.POSITIVE_INFINITY;
  private readonly first = new Lane(this, "");
  private readonly second = new Lane(this, "produce");
  private narrowTime = SHORTEST_NARROW;
  private narrowUntil: number;

  /** `answers`: false with acks=0, where nobody knows when a batch has arrived and the next one may take another way. */
  constructor(id: number, answers: boolean) {
    this.id = id;
    this.narrowUntil = answers ? 0 : Number.POSITIVE_INFINITY;
  }

  /**
   * The lane for a partition's next batch: the one its batches are on, since only one connection keeps their order; else
   * the second where the first has enough to do. `planned`: bytes about to be sent on each, to which these are added.
   */
  laneFor(queue: Sending, planned: Map<Lane, number>, now: number): Lane {
    let { lane } = queue;
    if (queue.inFlight === 0 || lane?.broker !== this) {
      const load = (one: Lane) => one.bytes + (planned.get(one) ?? 0);
      const wide = now >= this.narrowUntil && load(this.first) >= WIDE_BYTES;
      lane = wide && load(this.second) < load(this.first) ? this.second : this.first;
      queue.lane = lane;
    }
    planned.set(lane, (planned.get(lane) ?? 0) + queue.nextSize);
    return lane;
  }

  get isWide(): boolean {
    return this.second.requests > 0;
  }

  /** A request was answered. */
  answered(lane: Lane): void {
    if (lane === this.second) this.narrowTime = SHORTEST_NARROW;
  }

  /** A request ended without an answer. A broker may allow us one connection only. */
  lost(lane: Lane, error: unknown, now: number): void {
    if (lane !== this.second || !(error instanceof ConnectionError) || error.stage === "open") return;
    this.narrowUntil = now + this.narrowTime;
    this.narrowTime = Math.min(2 * this.narrowTime, LONGEST_NARROW);
  }
}
