/** A connected client for the time of one command. kafkajs is loaded only here, so that help and usage errors stay fast. */
import { connectionOptions } from "../config/connection.ts";
import type { FlagValues } from "../config/flag.ts";
import type { connectionFlags } from "../config/flags.ts";
import type { KafkaClient } from "../kafka/client.ts";
import type { Log } from "../observe/log.ts";

export async function withClient<T>(
  { flags, log }: { flags: FlagValues<typeof connectionFlags>; log: Log },
  work: (client: KafkaClient) => Promise<T>,
): Promise<T> {
  const options = connectionOptions(flags);
  const { createClient } = await import("../kafka/connect.ts");
  const client = createClient(options, log);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.close();
  }
}
