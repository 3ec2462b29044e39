/**
 * A client for the time of one command, connected by `connect`: by default in one try. kafkajs is loaded only here, so
 * that help and usage errors stay fast.
 */
import { connectionOptions } from "../config/connection.ts";
import { connectionRisks } from "../config/connection-risks.ts";
import type { FlagValues } from "../config/flag.ts";
import type { connectionFlags } from "../config/flags.ts";
import type { ClientOptions, KafkaClient } from "../kafka/cluster/client.ts";
import type { Log } from "../observe/log.ts";

type ConnectionFlags = FlagValues<typeof connectionFlags>;

/** What a command's flags say of the connection; warns of what gives a secret away. Errors as `connectionOptions`. */
export function connectionOf(flags: ConnectionFlags, log: Log): ClientOptions {
  const options = connectionOptions(flags);
  for (const risk of connectionRisks(flags)) log.warn(risk);
  return options;
}

export async function withClient<T>(
  { flags, log }: { flags: ConnectionFlags; log: Log },
  work: (client: KafkaClient) => Promise<T>,
  connect = (client: KafkaClient) => client.connect(),
): Promise<T> {
  const options = connectionOf(flags, log);
  const { createClient } = await import("../kafka/cluster/create-client.ts");
  const client = createClient(options, log);
  try {
    await connect(client);
    return await work(client);
  } finally {
    await client.close();
  }
}
