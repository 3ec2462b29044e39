/** One Kafka process: started, killed, stopped and continued by its pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hasEnded, killAtExit } from "../support/guard.ts";

export interface NodeOptions {
  id: number;
  /** Port of the direct listener (never through a proxy). */
  port: number;
  jars: string;
  /** Holds server.properties, the data and the log of this node. */
  dir: string;
  jvm: readonly string[];
}

export class KafkaNode {
  readonly id: number;
  readonly port: number;
  readonly dir: string;
  private readonly options: NodeOptions;
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();
  private onReady: () => Promise<void>;

  constructor(options: NodeOptions, onReady: () => Promise<void>) {
    this.options = options;
    this.id = options.id;
    this.port = options.port;
    this.dir = options.dir;
    this.onReady = onReady;
  }

  /** `host:port` of the direct listener. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  get running(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** What the node printed (warnings and errors). */
  log(): string {
    return readFileSync(join(this.dir, "log"), "utf8");
  }

  /** Starts the process without waiting for it to serve. */
  launch(): void {
    if (this.running) throw new Error(`starting Kafka node ${this.id}: it runs already (pid ${this.pid})`);
    const { jars, jvm } = this.options;
    const log = openSync(join(this.dir, "log"), "a");
    const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, "bin", "java") : "java";
    const args = [...jvm, "-cp", `${jars}/*`, "kafka.Kafka", join(this.dir, "server.properties")];
    const child = spawn(java, args, { stdio: ["ignore", log, log], cwd: this.dir, detached: true });
    closeSync(log);
    if (child.pid === undefined) throw new Error("starting Kafka: java cannot be run; Java 17 or later is needed");
    const { pid } = child;
    killAtExit(pid);
    child.unref();
    this.child = child;
    this.ended = new Promise((resolve) => {
      child.once("exit", () => {
        hasEnded(pid);
        resolve();
      });
    });
  }

  /** Starts it again after `kill` and waits until it serves. */
  async start(): Promise<void> {
    this.launch();
    await this.onReady();
  }

  /** Sends the signal (default SIGKILL) and waits for the end of the process. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (!this.running) return;
    this.child?.kill(signal);
    await this.ended;
  }

  pause(): void {
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    this.child?.kill("SIGCONT");
  }
}
