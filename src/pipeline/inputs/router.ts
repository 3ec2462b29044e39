import { basename } from "node:path";
import type { InputConfig } from "../../config/types.ts";
import type { Header, Route } from "../../kafka/producer/sink.ts";
import type { FileId, Lines } from "../../lines.ts";
import { compileTemplate, type Template, type TemplateValues } from "./template.ts";

/** The routes of one input's files. What is the same for all records of a file is made once per file. */
export class Router {
  private readonly config: InputConfig;
  private readonly host: string;
  private readonly key: Template | null;
  private readonly headers: readonly { name: string; value: Template }[];
  private readonly routes = new Map<FileId, Route>();

  /** Throws LogagentError CONFIG on a template with an unknown placeholder. */
  constructor(config: InputConfig, host: string) {
    this.config = config;
    this.host = host;
    this.key = config.key === null ? null : compileTemplate(config.key);
    this.headers = config.headers.map(({ name, value }) => ({ name, value: compileTemplate(value) }));
  }

  /** `path` is asked for once per file: records of a file keep their key when the file is renamed. */
  route(file: FileId, path: () => string): Route {
    const known = this.routes.get(file);
    if (known) return known;
    const route = this.make(path());
    this.routes.set(file, route);
    return route;
  }

  forget(file: FileId): void {
    this.routes.delete(file);
  }

  private make(path: string): Route {
    const { name: input, topic, partitioner } = this.config;
    const values = { input, path, file: basename(path), host: this.host, offset: 0, line_number: 0 };
    const at = (lines: Lines, i: number): TemplateValues => {
      values.offset = offsetOf(lines, i);
      values.line_number = lines.lineNumber + (lines.lineOffsets?.[i] ?? i);
      return values;
    };
    const { key, headers } = this;
    const makeHeaders = (now: TemplateValues): Header[] =>
      headers.map(({ name, value }) => ({ key: name, value: Buffer.from(value.render(now)) }));
    return {
      topic,
      partitioner,
      key: constantOrNot(
        key?.perRecord,
        () => key && Buffer.from(key.render(values)),
        (lines, i) => Buffer.from((key as Template).render(at(lines, i))),
      ),
      headers: headers.some(({ value }) => value.perRecord)
        ? (lines, i) => makeHeaders(at(lines, i))
        : makeHeaders(values),
    };
  }
}

function constantOrNot<C, F>(perRecord: boolean | undefined, constant: () => C, each: F): C | F {
  return perRecord ? each : constant();
}

/** Where record `i` begins in its file: behind the record before it. */
export function offsetOf(lines: Lines, i: number): number {
  return lines.base + (i === 0 ? 0 : (lines.nexts[i - 1] as number));
}
