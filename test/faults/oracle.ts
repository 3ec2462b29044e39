/**
 * The judge of every campaign. Lines carry file, number and checksum (`makeLine`); fed with what the topic holds, it
 * tells which numbers are missing, which came more often than once, which bytes are damaged and, per partition and
 * file, whether first occurrences came in order.
 */
import { readLine } from "../support/lines.ts";

export interface Finding {
  received: number;
  lost: number;
  repeated: number;
  /** Values that are no line of any writer. */
  damaged: number;
  /** Numbers beyond what was written, or of a file nobody wrote. */
  unwritten: number;
  /** First occurrences behind a later number of the same file in the same partition. */
  reordered: number;
  /** The first few faults, in words. */
  examples: string[];
  /** How often lines came again that were written before each mark (and behind the one before it). */
  repeatedPerMark: number[];
}

interface FileRecord {
  /** How often each number came; index 0 is unused. */
  counts: Uint8Array;
  highest: Map<number, number>;
}

export class Oracle {
  private readonly files = new Map<string, FileRecord>();
  private readonly examples: string[] = [];
  private received = 0;
  private repeated = 0;
  private damaged = 0;
  private reordered = 0;

  /** One record, in the order of its partition. */
  add(partition: number, value: string): void {
    this.received++;
    const line = readLine(value);
    if (!line) {
      this.damaged++;
      this.note(`damaged in partition ${partition}: ${JSON.stringify(value.slice(0, 120))}`);
      return;
    }
    const file = this.fileOf(line.file, line.number);
    const count = file.counts[line.number]!;
    if (count < 255) file.counts[line.number] = count + 1;
    if (count > 0) {
      this.repeated++;
      this.note(`${line.file} ${line.number} came again in partition ${partition}`);
      return;
    }
    const highest = file.highest.get(partition) ?? 0;
    if (line.number < highest) {
      this.reordered++;
      this.note(`${line.file} ${line.number} came behind ${highest} in partition ${partition}`);
    } else file.highest.set(partition, line.number);
  }

  /**
   * `written`: file → how many lines, numbered from 1. `marks`: how many lines of each file were written at certain
   * moments (kills), for `repeatedPerMark`.
   */
  judge(written: ReadonlyMap<string, number>, marks: readonly ReadonlyMap<string, number>[] = []): Finding {
    let lost = 0;
    let unwritten = 0;
    for (const [name, count] of written) {
      const counts = this.files.get(name)?.counts;
      let from = 0;
      for (let number = 1; number <= count + 1; number++) {
        const missing = number <= count && !counts?.[number];
        if (missing && from === 0) from = number;
        if (!missing && from > 0) {
          lost += number - from;
          this.note(`${name} ${from}…${number - 1} of ${count} never came`);
          from = 0;
        }
      }
    }
    for (const [name, { counts }] of this.files) {
      const limit = written.get(name) ?? 0;
      for (let number = limit + 1; number < counts.length; number++) {
        if (counts[number]) {
          unwritten++;
          this.note(`${name} ${number} was never written`);
        }
      }
    }
    const { received, repeated, damaged, reordered, examples } = this;
    const repeatedPerMark = this.repeatsAt(marks);
    return { received, lost, repeated, damaged, unwritten, reordered, examples, repeatedPerMark };
  }

  private repeatsAt(marks: readonly ReadonlyMap<string, number>[]): number[] {
    const repeats = marks.map(() => 0);
    for (const [name, { counts }] of this.files) {
      let number = 1;
      marks.forEach((mark, i) => {
        for (const end = mark.get(name) ?? 0; number <= end && number < counts.length; number++) {
          repeats[i]! += Math.max(0, counts[number]! - 1);
        }
      });
    }
    return repeats;
  }

  private fileOf(name: string, number: number): FileRecord {
    let file = this.files.get(name);
    if (!file) {
      file = { counts: new Uint8Array(1024), highest: new Map() };
      this.files.set(name, file);
    }
    if (number >= file.counts.length) {
      const larger = new Uint8Array(Math.max(number + 1, file.counts.length * 2));
      larger.set(file.counts);
      file.counts = larger;
    }
    return file;
  }

  private note(text: string): void {
    if (this.examples.length < 12) this.examples.push(text);
  }
}
