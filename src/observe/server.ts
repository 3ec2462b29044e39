/** `--metrics-listen HOST:PORT`: /metrics (Prometheus text), /livez and /readyz. */
import { createServer } from "node:http";
import { LogagentError } from "../errors.ts";
import type { Registry } from "./metrics.ts";

export interface Health {
  /** A reason why the process should be restarted, or null. */
  live(): string | null;
  /** A reason why it does no useful work now (no broker, an input down), or null. */
  ready(): string | null;
}

export interface MetricsServer {
  /** The address that is listened on, `host:port`; the port is the real one when 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

/** Throws LogagentError CONFIG when the address cannot be listened on. */
export async function serveMetrics(listen: string, metrics: Registry, health: Health): Promise<MetricsServer> {
  const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? [];
  if (host === undefined) throw new LogagentError("CONFIG", `--metrics-listen must be HOST:PORT; got "${listen}"`);
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = "text/plain; charset=utf-8") => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    const check = (reason: string | null) => answer(reason === null ? 200 : 503, `${reason ?? "ok"}\n`);
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405, "only GET and HEAD\n");
    const path = request.url?.split("?")[0];
    if (path === "/metrics") return answer(200, metrics.render(), "text/plain; version=0.0.4; charset=utf-8");
    if (path === "/livez") return check(health.live());
    if (path === "/readyz") return check(health.ready());
    return answer(404, "there are /metrics, /livez and /readyz\n");
  });
  // Whoever opens more has no need of them, and descriptors are for files and brokers.
  server.maxConnections = 16;
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(new LogagentError("CONFIG", `listening on ${listen} for metrics: ${error.message}`, error)),
    );
    server.listen(Number(port), bare || undefined, resolve);
  });
  server.on("error", () => {});
  const bound = server.address();
  return {
    address: `${host}:${typeof bound === "object" && bound ? bound.port : port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
