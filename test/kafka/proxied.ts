/** A node of Kafka that clients reach through the fault proxy, for all tests of a file. */
import { afterAll, afterEach, beforeAll } from "bun:test";
import { type KafkaCluster, type KafkaOptions, startKafka } from "./broker.ts";
import { type FaultProxy, startProxy } from "./proxy.ts";

export interface Proxied {
  /** `brokers` lead through the proxy, `direct` does not. */
  readonly kafka: KafkaCluster;
  readonly proxy: FaultProxy;
}

/** Started before the first test, healed after each, stopped behind the last one. */
export function proxiedKafka(config: KafkaOptions["config"] = {}): Proxied {
  let proxy: FaultProxy | undefined;
  let kafka: KafkaCluster | undefined;
  beforeAll(async () => {
    const started = await startProxy();
    proxy = started;
    kafka = await startKafka({ advertised: () => started.port, config });
    proxy.target = kafka.ports[0] as number;
  }, 120_000);
  afterEach(() => proxy?.heal());
  afterAll(async () => {
    await kafka?.stop();
    await proxy?.close();
  });
  return {
    get kafka() {
      return kafka as KafkaCluster;
    },
    get proxy() {
      return proxy as FaultProxy;
    },
  };
}
