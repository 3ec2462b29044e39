/**
 * A long backlog without an end, rotated and deleted behind the agent, then silence: memory and descriptors stay flat,
 * every line arrives once. The full form moves 100 million lines of 200 bytes. Mutant caught: a deleted file kept open.
 */
import { expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { startKafka, uniqueTopic } from "../kafka/broker.ts";
import { listOffset } from "../kafka/request.ts";
import { makeLine } from "../support/lines.ts";
import { startLogagent } from "../support/process.ts";
import { removeDir, tempDir } from "../support/temp.ts";
import { pause, waitFor } from "../support/wait.ts";
import { full } from "./seed.ts";

const lines = full ? 100_000_000 : 3_000_000;
const partitions = 4;
const blockLines = 20_000;
/** Of one generation of the log. A deleted one is let go a minute after its last line: that many are open at a time. */
const fileLines = (full ? 50 : 10) * blockLines;
/** Written and not yet in the topic: what the writer may be ahead. */
const ahead = 2 * fileLines;

/** Milliseconds after its rotation in which a generation may be open: a minute, and what the agent is behind. */
const openTime = 70_000;

interface Sample {
  lines: number;
  resident: number;
  descriptors: number;
  /** Descriptors without those of generations rotated a short time ago: how many these are depends on the machine's speed. */
  others: number;
}

/** Resident bytes now, and descriptors; with `deleted`, only those whose file has no name any more. */
const residentOf = (pid: number) =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return [];
    }
  });
}

test.skipIf(process.platform !== "linux")(
  `${lines / 1e6} million lines, then silence: memory and descriptors are flat`,
  async () => {
    const kafka = await startKafka({ config: { "log.retention.check.interval.ms": 3_000 } });
    const dir = tempDir("soak");
    try {
      // The brokers keep little, so that any number of lines fits on any disk.
      const topic = await kafka.createTopic(uniqueTopic("soak"), partitions, {
        "segment.bytes": String(16 << 20),
        "retention.bytes": String(64 << 20),
        "file.delete.delay.ms": "1000",
      });
      const received = async () => {
        const ends = Array.from({ length: partitions }, (_, partition) =>
          listOffset(kafka.nodes[0]!.address, { topic, partition, at: -1 }),
        );
        return Number((await Promise.all(ends)).reduce((sum, end) => sum + end, 0n));
      };
      mkdirSync(join(dir, "logs"));
      const log = join(dir, "logs", "app.log");
      const state = join(dir, "state", "state.jsonl");
      const block = Buffer.from(
        Array.from({ length: blockLines - 1 }, (_, i) => `${makeLine("soak", i, 199)}\n`).join(""),
      );
      appendFileSync(log, "");
      const agent = startLogagent([
        ...["tail", log, "--topic", topic, "--brokers", kafka.brokers, "--state", state, "--from", "beginning"],
      ]);
      await agent.says(/following/);

      /** Generations under their backup names and how many lines stand up to their end. */
      const backups: { path: string; end: number }[] = [];
      /** When each was rotated. */
      const rotations: number[] = [];
      const samples: Sample[] = [];
      let written = 0;
      let arrived = 0;
      while (written < lines) {
        // No two generations begin alike.
        appendFileSync(log, `${makeLine("soak", written, 199)}\n`);
        appendFileSync(log, block);
        written += blockLines;
        if (written % fileLines === 0) {
          const path = `${log}.${written / fileLines}`;
          renameSync(log, path);
          appendFileSync(log, "");
          backups.push({ path, end: written });
          rotations.push(performance.now());
        }
        do {
          arrived = await received();
          const since = performance.now() - openTime;
          const descriptors = descriptorsOf(agent.pid).length;
          const others = descriptors - rotations.filter((time) => time > since).length;
          samples.push({ lines: arrived, resident: residentOf(agent.pid), descriptors, others });
          while (backups.length > 0 && backups[0]!.end <= arrived) rmSync(backups.shift()!.path);
          if (!agent.running) throw new Error(`the agent ended: ${agent.stderr}`);
          if (written - arrived > ahead) await pause(20);
        } while (written - arrived > ahead);
      }
      await waitFor(`${written} lines in the topic`, async () => (await received()) >= written, { timeout: 120_000 });
      for (const { path } of backups) rmSync(path);
      // Silence: whatever is done late (files let go, checkpoints, compaction) is over.
      await waitFor(
        "no deleted file held open",
        () => !descriptorsOf(agent.pid).some((path) => / \(deleted\)$/.test(path)),
        {
          timeout: 100_000,
        },
      );
      await pause(full ? 60_000 : 3_000);

      const most = (part: Sample[], what: "resident" | "descriptors" | "others") =>
        Math.max(...part.map((sample) => sample[what]));
      const between = (from: number, to: number) =>
        samples.filter((sample) => sample.lines >= from * lines && sample.lines <= to * lines);
      const [early, late] = [between(0.1, 0.6), between(0.6, 1)];
      const idle = { resident: residentOf(agent.pid), descriptors: descriptorsOf(agent.pid) };
      const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
      console.log(
        `resident at most ${mb(most(early, "resident"))} early, ${mb(most(late, "resident"))} late, ${mb(idle.resident)} idle; ` +
          `descriptors ${most(early, "descriptors")}, ${most(late, "descriptors")}, ${idle.descriptors.length}, ` +
          `without young generations ${most(early, "others")}, ${most(late, "others")}; state ${statSync(state).size} bytes`,
      );
      expect(await received()).toBe(written);
      // A leak of one byte per line would show as 50 MB in the full form; the heap's own swing is about 10 MB.
      expect(most(late, "resident")).toBeLessThan(most(early, "resident") + (full ? 15e6 : 25e6));
      // The short form is over before a first generation is let go.
      if (full) expect(most(late, "others")).toBeLessThanOrEqual(most(early, "others") + 5);
      expect(idle.descriptors.length).toBeLessThanOrEqual(samples[0]!.descriptors + 3);
      expect(idle.resident).toBeLessThan(most(early, "resident") + 5e6);
      // Positions of deleted files are kept for a day (they may come back compressed): some 300 bytes each, by compaction.
      expect(statSync(state).size).toBeLessThan(256 * 1024);
      expect((await agent.stop()).code).toBe(0);
    } finally {
      await kafka.stop();
      removeDir(dir);
    }
  },
  full ? 3_600_000 : 240_000,
);
