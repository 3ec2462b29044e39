/**
 * The one way to a broker's address: at most one connection attempt at a time, shared by everybody who sends. Requests
 * are written in the order of the calls, also those that waited for the connection.
 */
import type { Log } from "../../observe/log.ts";
import type { ApiRequest } from "../protocol/request.ts";
import { Connection } from "./connection.ts";
import type { ConnectionError } from "./connection-error.ts";
import type { ClientOptions } from "./options.ts";

export class BrokerLink {
  readonly host: string;
  readonly port: number;
  private readonly options: ClientOptions;
  private readonly log: Log;
  private connection: Connection | null = null;
  private waiting: { write: (connection: Connection) => void; reject: (error: unknown) => void }[] = [];
  /** True while connecting or re-authenticating: requests wait. */
  private busy = false;
  private closed = false;

  constructor(host: string, port: number, options: ClientOptions, log: Log) {
    this.host = host;
    this.port = port;
    this.options = options;
    this.log = log;
  }

  get isOpen(): boolean {
    return this.connection !== null && this.connection.closed === null;
  }

  /** Rejects with ConnectionError, or with what `parse` throws. Never tries to connect twice. */
  send<T>(request: ApiRequest<T>): Promise<T> {
    if (!this.busy && this.connection?.closed === null && this.connection.authenticated) {
      return this.connection.request(request);
    }
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({ write: (connection) => connection.request(request).then(resolve, reject), reject });
      if (!this.busy) this.prepare();
    });
  }

  private async prepare(): Promise<void> {
    this.busy = true;
    try {
      if (this.connection && this.isOpen) {
        await this.connection.reauthenticate();
        this.log.debug("authenticated again", { broker: this.connection.broker });
      } else await this.connect();
      this.busy = false;
      const connection = this.connection as Connection;
      for (const { write } of this.takeWaiting()) write(connection);
    } catch (error) {
      this.busy = false;
      for (const { reject } of this.takeWaiting()) reject(error);
    }
  }

  private async connect(): Promise<void> {
    const connection = new Connection(this.host, this.port, this.options, this.log, (error) => this.ended(error));
    this.connection = connection;
    await connection.open();
    connection.markOpen();
    this.log.debug("connected", { broker: connection.broker });
    if (this.closed) {
      connection.close();
      throw connection.closed;
    }
  }

  private ended(error: ConnectionError): void {
    this.log.debug("connection ended", { broker: error.broker, reason: error.reason });
  }

  private takeWaiting() {
    const waiting = this.waiting;
    this.waiting = [];
    return waiting;
  }

  /** Ends the connection; everything under way is rejected. A later `send` connects again unless `forGood`. */
  close(forGood = true): void {
    this.closed = forGood;
    this.connection?.close();
  }
}
