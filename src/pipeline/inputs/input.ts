import type { InputConfig } from "../../config/types.ts";
import type { Route } from "../../kafka/producer/sink.ts";
import type { FileId, Lines } from "../../lines.ts";
import { showPath } from "../../path-text.ts";
import type { FileClaims } from "../../tail/rotation/foreign-files.ts";
import type { TailEvent, Tailer, TailOptions } from "../../tail/types.ts";
import type { PositionOwner } from "../checkpoint/positions.ts";
import { JsonLines } from "./json-encoder.ts";
import { Router } from "./router.ts";

export type CreateTailer = (options: TailOptions, claims?: FileClaims) => Tailer;

/** One run of an input: its tailer and its routes, from a start to a crash or the end. */
export class Input implements PositionOwner {
  readonly config: InputConfig;
  readonly tailer: Tailer;
  /** Its topic may be written to. */
  ready = false;
  private readonly router: Router;
  private readonly json: JsonLines | null;

  private readonly onCrash: (error: unknown) => void;

  constructor(config: InputConfig, host: string, tailer: Tailer, onCrash: (error: unknown) => void) {
    this.config = config;
    this.tailer = tailer;
    this.onCrash = onCrash;
    this.router = new Router(config, host);
    this.json = config.format === "json" ? new JsonLines(host) : null;
  }

  /** The next chunk as it is to be sent; null when there is none now. */
  next(): Lines | null {
    const lines = this.tailer.next();
    return lines === null || this.json === null || lines.count === 0
      ? lines
      : this.json.convert(lines, this.pathOf(lines.file));
  }

  route(file: FileId): Route {
    return this.router.route(file, () => this.pathOf(file));
  }

  /** Called while the sink settles batches of all inputs: the trouble of one must not reach the others. */
  settled(file: FileId, position: number): void {
    try {
      this.tailer.settled(file, position);
    } catch (error) {
      this.onCrash(error);
    }
  }

  forget(file: FileId): void {
    this.router.forget(file);
  }

  /** As it is written into keys, headers and JSON. */
  private pathOf(file: FileId): string {
    return showPath(this.tailer.file(file)?.path ?? "");
  }
}

/** What the tailer says, in the metrics' words. */
export function eventCount(event: TailEvent): { name: string; labels: Record<string, string>; by: number } | null {
  switch (event.name) {
    case "bytes-lost":
      return { name: "lost_bytes_total", labels: { reason: "unreachable" }, by: event.bytes ?? 0 };
    case "file-gone":
      return { name: "lost_files_total", labels: { reason: "not-found" }, by: 1 };
    case "perhaps-repeated":
      return { name: "perhaps_repeated_bytes_total", labels: {}, by: event.bytes ?? 0 };
    case "line-too-long":
      return { name: "lines_too_long_total", labels: {}, by: event.lines ?? 1 };
    case "file-renamed":
    case "file-replaced":
    case "file-truncated":
    case "file-copied":
      return { name: "file_rotations_total", labels: { kind: event.name.slice(5) }, by: 1 };
    default:
      return null;
  }
}
