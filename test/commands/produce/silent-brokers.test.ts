/** Brokers that are away: `produce` says so soon, in the words of `consume`, and what comes of it. */
import { expect, test } from "bun:test";
import { sharedKafka, uniqueTopic } from "../../kafka/broker.ts";
import { startProxy } from "../../kafka/proxy.ts";
import { startLogagent } from "../../support/process.ts";
import { waitFor } from "../../support/wait.ts";
import { cli } from "../cli.ts";

const said = /refused \(nothing listens there\); trying again for 3000 ms \(--timeout\)/g;

test.each([
  ["produce", ["--value", "x"]],
  ["consume", ["-O", "start", "-e"]],
] as const)(
  "%s to a dead broker: one warning before it gives up with 69",
  async (command, more) => {
    const { code, stderr } = await cli([command, uniqueTopic("away"), ...more, "-b", "127.0.0.1:1", "--timeout", "3s"]);
    expect(code).toBe(69);
    expect(stderr.match(said)).toHaveLength(1);
    expect(stderr.indexOf("[warn]")).toBeLessThan(stderr.indexOf("logagent: "));
  },
  30_000,
);

test("a broker that comes back is said too", async () => {
  const { brokers } = await sharedKafka();
  const proxy = await startProxy();
  try {
    const produce = startLogagent(["produce", uniqueTopic("none"), "--value", "x", "-b", `127.0.0.1:${proxy.port}`]);
    await waitFor("a warning", () => produce.stderr.includes("; trying again for 60000 ms (--timeout)"));
    proxy.target = Number(brokers.split(":")[1]);
    // The shared node has no such topic: it is the answer that counts.
    const { code, stderr } = await produce.exited;
    expect([code, stderr]).toEqual([69, expect.stringContaining("there is no such topic")]);
  } finally {
    await proxy.close();
  }
}, 60_000);
