import { backoff } from "../../backoff.ts";
import { messageOf } from "../../errors.ts";
import type { KafkaClient } from "../../kafka/cluster/client.ts";
import { isTransient } from "../../kafka/cluster/leaders.ts";
import type { Log } from "../../observe/log.ts";
import { sleep, systemClock } from "../../runtime.ts";

/**
 * Connects, again and again for `timeout` milliseconds while no broker answers. Throws what the last try failed with,
 * when the time is over or `signal` fires, and at once what waiting does not mend.
 */
export async function connectWithin(
  client: KafkaClient,
  timeout: number,
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const deadline = performance.now() + timeout;
  for (let failures = 1; ; failures++) {
    try {
      await client.connect();
      if (failures > 1) log.info("the brokers answer");
      return;
    } catch (error) {
      const left = deadline - performance.now();
      if (signal.aborted || left <= 0 || !isTransient(error)) throw error;
      if (failures === 1) log.warn(`${messageOf(error)}; trying again for ${timeout} ms (--timeout)`);
      await sleep(systemClock, Math.min(left, backoff(failures, Math.random, 100, 2000)), signal);
      if (signal.aborted) throw error;
    }
  }
}
