import { afterAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { createMetrics } from "../../src/observe/metrics.ts";
import { serveMetrics } from "../../src/observe/server.ts";

test("the exposition holds help, type, labels and cumulated buckets", () => {
  const metrics = createMetrics();
  metrics.count("records_acked_total", { topic: "t" });
  metrics.count("records_acked_total", { topic: "t" }, 4);
  metrics.onCollect(() => metrics.set("file_lag_bytes", { input: 'a"\\\n' }, 7));
  metrics.observe("produce_seconds", {}, 0.003);
  metrics.observe("produce_seconds", {}, 60);
  const text = metrics.render();
  expect(text).toContain('# TYPE logagent_records_acked_total counter\nlogagent_records_acked_total{topic="t"} 5\n');
  expect(text).toContain('logagent_file_lag_bytes{input="a\\"\\\\\\n"} 7\n');
  expect(text).toContain('logagent_produce_seconds_bucket{le="0.0025"} 0\n');
  expect(text).toContain('logagent_produce_seconds_bucket{le="0.005"} 1\n');
  expect(text).toContain('logagent_produce_seconds_bucket{le="30"} 1\n');
  expect(text).toContain('logagent_produce_seconds_bucket{le="+Inf"} 2\n');
  expect(text).toContain("logagent_produce_seconds_count 2\n");
  for (const line of text.trimEnd().split("\n")) {
    expect(line).toMatch(/^(# (HELP|TYPE) logagent_\w+ .+|logagent_\w+(\{.*\})? \S+)$/);
  }
});

test("the series of a removed input go away, others stay", () => {
  const metrics = createMetrics();
  metrics.set("file_lag_bytes", { input: "a", path: "/1" }, 1);
  metrics.set("file_lag_bytes", { input: "b", path: "/2" }, 2);
  metrics.remove({ input: "a" });
  expect(metrics.render()).not.toContain('input="a"');
  expect(metrics.render()).toContain('input="b"');
});

test("a name that is not in the table is a bug", () => {
  expect(() => createMetrics().count("recrods_total")).toThrow("not in the table");
});

describe("the server", async () => {
  let ready: string | null = "no broker answers";
  const metrics = createMetrics();
  metrics.set("build_info", { version: "1" }, 1);
  const server = await serveMetrics("127.0.0.1:0", metrics, { live: () => null, ready: () => ready });
  afterAll(() => server.close());
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://${server.address}${path}`, { method });
    return [response.status, await response.text()] as const;
  };

  test("answers /metrics, /livez and /readyz", async () => {
    expect(await get("/metrics")).toEqual([200, expect.stringContaining('logagent_build_info{version="1"} 1')]);
    expect(await get("/livez")).toEqual([200, "ok\n"]);
    expect(await get("/readyz")).toEqual([503, "no broker answers\n"]);
    ready = null;
    expect((await get("/readyz"))[0]).toBe(200);
    expect((await get("/nope"))[0]).toBe(404);
    expect((await get("/metrics", "POST"))[0]).toBe(405);
  });

  test("a port in use is a configuration error that names it", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    const listen = serveMetrics(`127.0.0.1:${port}`, metrics, { live: () => null, ready: () => null });
    await expect(listen).rejects.toThrow(expect.objectContaining({ code: "CONFIG" }));
    other.close();
  });
});
