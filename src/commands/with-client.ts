/**
 * A client for the time of one command, connected by `connect`: by default in one try. kafkajs is loaded only here, so
 * that help and usage errors stay fast.
 */
import { connectionOptions } from "../config/connection.ts";
import type { FlagValues } from "../config/flag.ts";
import type { connectionFlags } from "../config/flags.ts";
import type { KafkaClient } from "../kafka/cluster/client.ts";
import type { Log } from "../observe/log.ts";

export async function withClient<T>(
  { flags, log }: { flags: FlagValues<typeof connectionFlags>; log: Log },
  work: (client: KafkaClient) => Promise<T>,
  connect = (client: KafkaClient) => client.connect(),
): Promise<T> {
  const options = connectionOptions(flags);
  const { createClient } = await import("../kafka/cluster/create-client.ts");
  const client = createClient(options, log);
  try {
    await connect(client);
    return await work(client);
  } finally {
    await client.close();
  }
}
