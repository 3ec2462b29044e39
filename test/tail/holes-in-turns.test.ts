import { expect, test } from "bun:test";
import { ManualClock } from "../support/manual-clock.ts";
import { Follower } from "./follower.ts";
import { MemoryFs } from "./memory-fs.ts";

/** Files named `hole` seem to have a terabyte of NULs behind what they hold. */
class SparseFs extends MemoryFs {
  bytes = 0;
  readonly holes = new Set<number>();
  override open(path: string): number | null {
    const fd = super.open(path);
    if (fd !== null && path.includes("hole")) this.holes.add(fd);
    return fd;
  }
  override read(fd: number, target: Uint8Array, offset: number, length: number, position: number): number {
    if (!this.holes.has(fd)) return super.read(fd, target, offset, length, position);
    const held = super.read(fd, target, offset, length, position);
    target.fill(0, offset + held, offset + length);
    this.bytes += length;
    return length;
  }
}

for (const tooLong of ["skip", "cut"] as const) {
  test(`twenty holes, also behind a byte, ${tooLong}: one call looks through a few megabytes of them all together`, async () => {
    const clock = new ManualClock();
    const fs = new SparseFs(clock);
    for (let i = 0; i < 20; i++) fs.append(`/log/hole${i}.log`, i % 2 === 0 ? "\0" : "x");
    fs.append("/log/quiet.log", "quiet\n");
    const options = { paths: ["/log/*.log"], from: "beginning" as const, maxOpenFiles: 100, tooLong };
    const follower = new Follower(options, fs, clock);
    await follower.restart();
    let most = 0;
    for (let calls = 0; calls < 200; calls++) {
      fs.bytes = 0;
      if (!follower.step()) clock.advance(5);
      most = Math.max(most, fs.bytes);
    }
    expect(follower.seen).toContain("quiet");
    expect(most).toBeGreaterThan(1 << 20);
    expect(most).toBeLessThan(12 << 20);
  });
}
