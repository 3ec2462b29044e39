/** The agents that are compared: each follows `files` into `topic` as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasEnded, killAtExit } from "../../support/guard.ts";
import { binary } from "../../support/process.ts";
import { findTool } from "../../support/tools.ts";
import { cleanEnv } from "./meter.ts";

export interface Target {
  /** Path or pattern. */
  files: string;
  brokers: string;
  topic: string;
  /** An empty directory of its own. */
  dir: string;
}

export interface Follower {
  name: string;
  /** Its readers need read-committed. */
  committed?: boolean;
  /** Descriptors it needs for so many files. */
  descriptors?(files: number): number;
  start(target: Target): Started;
}

export class Started {
  readonly pid: number;
  private readonly child: ChildProcess;
  private readonly log: string;

  constructor(command: readonly string[], dir: string) {
    this.log = join(dir, "stderr");
    const script = 'ulimit -n "$(ulimit -Hn)"; log=$0; exec "$@" 2>"$log"';
    this.child = spawn("sh", ["-c", script, this.log, ...command], { stdio: "ignore", env: cleanEnv() });
    this.pid = this.child.pid ?? 0;
    killAtExit(this.pid);
  }

  /** Throws with what it said when it is gone. */
  check(): void {
    if (this.child.exitCode === null && this.child.signalCode === null) return;
    throw new Error(`the agent ended with ${this.child.exitCode}: ${readFileSync(this.log, "utf8").slice(-4096)}`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGTERM");
    const timer = setTimeout(() => this.child.kill("SIGKILL"), 15_000);
    await exited;
    clearTimeout(timer);
    hasEnded(this.pid);
  }
}

/** `logagent tail` with these flags besides the necessary ones. */
export function logagentTail(name: string, ...flags: string[]): Follower {
  return {
    name,
    committed: flags.includes("exactly-once"),
    start({ files, brokers, topic, dir }) {
      const state = join(dir, "state.jsonl");
      const args = ["tail", files, "--topic", topic, "--brokers", brokers, "--state", state, "--from", "end"];
      return new Started([binary(), ...args, ...flags], dir);
    },
  };
}

/** rsyslog's imfile (by inotify) and omkafka with a linger of `linger` ms, acks=all; a string says why not. */
export function rsyslog(linger: number): Follower | string {
  const rsyslogd = findTool("rsyslogd");
  if (!rsyslogd) return "rsyslogd is not installed (Debian: rsyslog, rsyslog-kafka)";
  const check = Bun.spawnSync([rsyslogd, "-N1", "-f", "/dev/stdin"], {
    stdin: Buffer.from('module(load="omkafka")\naction(type="omfile" file="/dev/null")\n'),
  });
  if (check.exitCode !== 0) return `rsyslog has no omkafka (Debian: rsyslog-kafka): ${check.stderr.toString().trim()}`;
  return {
    name: `rsyslog imfile + omkafka, linger ${linger} ms`,
    descriptors: (files) => 2 * files + 50,
    start({ files, brokers, topic, dir }) {
      const work = join(dir, "work");
      mkdirSync(work);
      const config = join(dir, "rsyslog.conf");
      const list = brokers.split(",").map((broker) => `"${broker}"`);
      writeFileSync(
        config,
        `global(workDirectory="${work}" maxMessageSize="64k")
module(load="imfile" mode="inotify")
module(load="omkafka")
template(name="line" type="string" string="%msg%")
input(type="imfile" file="${files}" tag="bench" ruleset="out" freshStartTail="on")
ruleset(name="out") {
  action(type="omkafka" broker=[${list}] topic="${topic}" template="line" partitions.auto="on"
         confParam=["linger.ms=${linger}", "acks=all"])
}
`,
      );
      return new Started([rsyslogd, "-n", "-f", config, "-i", join(dir, "pid")], dir);
    },
  };
}

/** How many descriptors a process may have here. */
export function descriptorLimit(): number {
  return Number(
    /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Number.POSITIVE_INFINITY,
  );
}
