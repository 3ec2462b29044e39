/**
 * A TCP proxy before a broker that does what networks do: slow, late, cut, silent, reset; and, knowing Kafka's frames,
 * does it to a chosen request (`hook`). Faults can be set at any time and per direction; they hold for all connections.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { pause } from "../support/wait.ts";

export type Fault =
  | { kind: "pass" }
  /** Everything arrives that much later (milliseconds). */
  | { kind: "delay"; ms: number }
  | { kind: "throttle"; bytesPerSecond: number }
  /** Each connection is closed once that many more bytes went through it. */
  | { kind: "cut"; bytes: number }
  /** A network that is away: nothing goes through; what waits goes on once the fault is lifted. */
  | { kind: "hold" }
  /** Bytes vanish while the connection stays. */
  | { kind: "drop" };

/**
 * Where a request is: `request` came from the client, not yet sent; `sent` to the broker; `response` came from the
 * broker, not yet given to the client; `delivered` to the client.
 */
export type Stage = "request" | "sent" | "response" | "delivered";

export interface Frame {
  stage: Stage;
  apiKey: number;
  apiVersion: number;
  correlationId: number;
  /** The frame without its size field; for `response` and `delivered` that of the response. */
  bytes: Buffer;
  /** Distinguishes connections. */
  connection: number;
}

/** `close` resets the connection at this point; `drop` swallows the frame (in `request` and `response`). */
export type Action = "close" | "drop" | undefined;

export type Hook = (frame: Frame) => Action | Promise<Action>;

export const apiKeys = {
  Produce: 0,
  Fetch: 1,
  Metadata: 3,
  FindCoordinator: 10,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
} as const;

const pass: Fault = { kind: "pass" };

export class FaultProxy {
  /** Port of the broker behind it. */
  target = 0;
  /** Client → broker and broker → client. */
  up: Fault = pass;
  down: Fault = pass;
  /** Refuses new connections (accepts and resets them). */
  refuse = false;
  hook: Hook | undefined;
  /** Connections accepted so far. */
  accepted = 0;
  private readonly server: Server;
  private readonly connections = new Set<Connection>();

  constructor() {
    this.server = createServer({ noDelay: true }, (client) => {
      this.accepted++;
      if (this.refuse) {
        client.on("error", () => {});
        client.resetAndDestroy();
        return;
      }
      const connection = new Connection(this, client, this.accepted);
      this.connections.add(connection);
      connection.onClose = () => this.connections.delete(connection);
    });
  }

  get port(): number {
    return (this.server.address() as { port: number }).port;
  }

  listen(): Promise<this> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(0, "127.0.0.1", () => resolve(this));
    });
  }

  /** Back to passing everything, without a hook. Held bytes go on. */
  heal(): void {
    this.up = this.down = pass;
    this.refuse = false;
    this.hook = undefined;
  }

  /** Resets all connections of this moment. */
  reset(): void {
    for (const connection of this.connections) connection.destroy();
  }

  async close(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A proxy that listens already: make it before the broker (`advertised: () => proxy.port`), then set `target`. */
export function startProxy(target = 0): Promise<FaultProxy> {
  const proxy = new FaultProxy();
  proxy.target = target;
  return proxy.listen();
}

interface Pending {
  apiKey: number;
  apiVersion: number;
}

class Connection {
  onClose = () => {};
  private readonly proxy: FaultProxy;
  private readonly client: Socket;
  private readonly broker: Socket;
  private readonly id: number;
  private readonly pending = new Map<number, Pending>();
  private closed = false;

  constructor(proxy: FaultProxy, client: Socket, id: number) {
    this.proxy = proxy;
    this.client = client;
    this.id = id;
    this.broker = connect({ port: proxy.target, host: "127.0.0.1", noDelay: true });
    this.pump(client, this.broker, "up");
    this.pump(this.broker, client, "down");
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.client.resetAndDestroy();
    this.broker.destroy();
    this.onClose();
  }

  private pump(from: Socket, to: Socket, direction: "up" | "down"): void {
    let rest: Buffer = Buffer.alloc(0);
    let queued = 0;
    let chain = Promise.resolve();
    const shape = new Shaper(
      () => this.proxy[direction],
      to,
      () => this.destroy(),
      () => this.closed,
    );
    from.on("data", (data) => {
      const arrived = performance.now();
      rest = rest.length === 0 ? data : Buffer.concat([rest, data]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const frame = rest.subarray(0, 4 + rest.readInt32BE(0));
        rest = rest.subarray(frame.length);
        queued += frame.length;
        chain = chain.then(async () => {
          await this.forward(frame, direction, shape, arrived).catch(() => this.destroy());
          queued -= frame.length;
          if (queued <= 8 << 20) from.resume();
        });
      }
      if (queued > 8 << 20) from.pause();
    });
    from.on("error", () => {});
    from.on("close", () => {
      chain = chain.then(() => this.destroy());
    });
  }

  private async forward(frame: Buffer, direction: "up" | "down", shape: Shaper, arrived: number): Promise<void> {
    const bytes = frame.subarray(4);
    const isUp = direction === "up";
    const correlationId = bytes.readInt32BE(isUp ? 4 : 0);
    if (isUp) this.pending.set(correlationId, { apiKey: bytes.readInt16BE(0), apiVersion: bytes.readInt16BE(2) });
    const known = this.pending.get(correlationId) ?? { apiKey: -1, apiVersion: -1 };
    if (!isUp) this.pending.delete(correlationId);
    const call = async (stage: Stage): Promise<boolean> => {
      const action = await this.proxy.hook?.({ stage, ...known, correlationId, bytes, connection: this.id });
      if (action === "close") this.destroy();
      return action === undefined && !this.closed;
    };
    if (!(await call(isUp ? "request" : "response"))) return;
    await shape.write(frame, arrived);
    await call(isUp ? "sent" : "delivered");
  }
}

/** Writes bytes to a socket as the fault of the moment lets them through. */
class Shaper {
  private readonly fault: () => Fault;
  private readonly to: Socket;
  private readonly destroy: () => void;
  private readonly closed: () => boolean;
  private cutAt: { fault: Fault; left: number } | undefined;

  constructor(fault: () => Fault, to: Socket, destroy: () => void, closed: () => boolean) {
    this.fault = fault;
    this.to = to;
    this.destroy = destroy;
    this.closed = closed;
  }

  async write(bytes: Buffer, arrived: number): Promise<void> {
    let rest = bytes;
    while (rest.length > 0 && !this.closed()) {
      const fault = this.fault();
      switch (fault.kind) {
        case "pass":
          return this.send(rest);
        case "drop":
          return;
        case "hold":
          await pause(20);
          break;
        case "delay": {
          const left = arrived + fault.ms - performance.now();
          if (left <= 0) return this.send(rest);
          await pause(Math.min(left, 50));
          break;
        }
        case "throttle": {
          const step = Math.max(1, Math.min(rest.length, Math.floor(fault.bytesPerSecond / 20)));
          await this.send(rest.subarray(0, step));
          rest = rest.subarray(step);
          const end = performance.now() + (step * 1000) / fault.bytesPerSecond;
          while (performance.now() < end && this.fault() === fault && !this.closed()) await pause(20);
          break;
        }
        case "cut": {
          if (this.cutAt?.fault !== fault) this.cutAt = { fault, left: fault.bytes };
          const step = rest.subarray(0, this.cutAt.left);
          this.cutAt.left -= step.length;
          await this.send(step);
          if (step.length < rest.length) this.destroy();
          return;
        }
      }
    }
  }

  private async send(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || this.closed()) return;
    if (!this.to.write(bytes)) {
      await new Promise<void>((resolve) => {
        const done = () => {
          this.to.off("drain", done);
          this.to.off("close", done);
          resolve();
        };
        this.to.on("drain", done);
        this.to.on("close", done);
      });
    }
  }
}
