import type { Batch, Outcome, Route, Sink } from "../../src/kafka/producer/sink.ts";
import type { Lines, Range } from "../../src/lines.ts";

interface HeldBatch extends Batch {
  values: string[];
  ranges: Range[];
}

/** A sink whose batches the test settles, in the order it likes. Every record chooses one of `partitions`. */
export class MemorySink implements Sink {
  /** Values as acknowledged, in that order. */
  readonly acked: string[] = [];
  /** By topic and partition. */
  open = new Map<string, HeldBatch>();
  closed: HeldBatch[] = [];
  room = true;
  /** Acknowledges by itself, a little later. */
  automatic = false;
  choose: () => number = () => 0;
  recordsPerBatch = 3;
  private settledListener: (batch: Batch, outcome: Outcome) => void = () => {};
  private roomListener: () => void = () => {};
  /** Tells that records wait for a topic that is not there any more. */
  tellMissing: (topic: string) => void = () => {};

  async prepare(): Promise<void> {}

  partitions(): number {
    return 1;
  }

  hasRoom(): boolean {
    return this.room;
  }

  setRoom(room: boolean): void {
    this.room = room;
    if (room) this.roomListener();
  }

  onRoom(f: () => void): void {
    this.roomListener = f;
  }

  onMissing(f: (topic: string) => void): void {
    this.tellMissing = f;
  }

  append(lines: Lines, route: Route): void {
    let range: Range | null = null;
    for (let i = 0; i < lines.count; i++) {
      const from = lines.base + (i === 0 ? 0 : lines.nexts[i - 1]!);
      range ??= { file: lines.file, from, to: from, pending: 0, open: true };
      const partition = this.choose();
      const place = `${route.topic} ${partition}`;
      const batch = this.open.get(place) ?? {
        topic: route.topic,
        partition,
        count: 0,
        size: 0,
        ranges: [],
        values: [],
      };
      this.open.set(place, batch);
      const bytes = Buffer.from(lines.bytes.slice(lines.starts[i], lines.ends[i]));
      batch.values.push(bytes.toString());
      (batch as { count: number }).count++;
      if (batch.ranges.at(-1) !== range) {
        batch.ranges.push(range);
        range.pending++;
      }
      range.to = lines.base + lines.nexts[i]!;
      if (i === lines.count - 1) range.to = lines.to;
      if (batch.count >= this.recordsPerBatch) {
        this.close1(place);
        range.open = false;
        range = null;
      }
    }
    if (range) range.open = false;
    if (this.automatic) setTimeout(() => this.settleAll(), 1);
  }

  private close1(place: string): void {
    const batch = this.open.get(place);
    if (!batch) return;
    this.open.delete(place);
    for (const range of batch.ranges) range.open = false;
    this.closed.push(batch);
  }

  closeOpen(): void {
    for (const place of [...this.open.keys()]) this.close1(place);
  }

  settle(index: number, outcome: Outcome = { kind: "acked", offset: 0n, timestamp: 0 }): void {
    const [batch] = this.closed.splice(index, 1);
    if (!batch) return;
    for (const range of batch.ranges) range.pending--;
    if (outcome.kind === "acked") this.acked.push(...batch.values);
    this.settledListener(batch, outcome);
  }

  settleAll(): void {
    this.closeOpen();
    while (this.closed.length > 0) this.settle(0);
  }

  onSettled(f: (batch: Batch, outcome: Outcome) => void): void {
    this.settledListener = f;
  }

  async flush(deadline: number): Promise<boolean> {
    this.closeOpen();
    const end = performance.now() + deadline;
    while (this.closed.length > 0) {
      if (performance.now() >= end) return false;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return true;
  }

  get buffered(): number {
    return this.closed.length + this.open.size;
  }

  async close(): Promise<void> {}
}
