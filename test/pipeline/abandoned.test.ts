/** The end of an agent that could not commit in time: its transaction is aborted by itself and holds no readers back. */
import { expect, test } from "bun:test";
import { expectEveryLineOnce, throughProxy, withRig } from "../faults/rig.ts";
import { endOffsets, uniqueTopic } from "../kafka/broker.ts";
import { proxiedKafka } from "../kafka/proxied.ts";
import { apiKeys } from "../kafka/proxy.ts";
import { waitFor } from "../support/wait.ts";

/** The coordinator ends no transaction by itself: it would look for late ones once an hour. */
const node = proxiedKafka({ "transaction.abort.timed.out.transaction.cleanup.interval.ms": 3_600_000 });

for (const unanswered of ["Produce", "EndTxn"] as const) {
  test(`--drain-timeout while no ${unanswered} is answered: readers of committed records go on`, async () => {
    const topic = await node.kafka.createTopic(uniqueTopic("abandoned"), 1);
    const options = throughProxy(node.kafka, topic, "exactly-once");
    const end = async (committed: boolean) => (await endOffsets(node.kafka.direct, topic, committed))[0] as bigint;
    /** The end of the topic, once no transaction is open: EndTxn is answered before its markers are written. */
    const settled = async () => {
      const last = await end(false);
      return (await end(true)) === last && last;
    };
    await withRig({ ...options, files: ["a"] }, async (rig) => {
      const [writer] = rig.writers;
      writer!.write(100);
      await rig.catchUp();
      const before = await waitFor("its end", settled);
      let [flowing, lost] = [false, 0];
      const stage = unanswered === "Produce" ? "response" : "request";
      node.proxy.hook = (frame) => {
        // The claim of the start is let through: a commit that comes before any record.
        if (frame.apiKey !== apiKeys[unanswered] || frame.stage !== stage) return;
        if (unanswered === "EndTxn" && !flowing) return;
        lost++;
        return "drop";
      };
      rig.start(["--drain-timeout", "500ms"]);
      writer!.write(100);
      await waitFor("records in the log", async () => (await end(false)) >= before + 100n);
      flowing = true;
      writer!.write(100);
      await waitFor("a frame to be lost", () => lost > 0);
      expect(await end(false)).toBeGreaterThan(await end(true));
      const result = await rig.end("SIGTERM");
      expect([result?.code, result?.stderr]).toEqual([69, expect.stringContaining("not acknowledged within 500 ms")]);
      node.proxy.heal();
      await waitFor("readers to go on", settled);
      await rig.catchUp();
      expectEveryLineOnce(await rig.verdict());
    });
  }, 60_000);
}
