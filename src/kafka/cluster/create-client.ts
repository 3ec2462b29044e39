import type { Log } from "../../observe/log.ts";
import type { ClientOptions, KafkaClient } from "./client.ts";
import { ClusterClient } from "./cluster-client.ts";

/**
 * A client that is not connected yet; every call connects as needed. Throws LogagentError (CONFIG) on a malformed broker
 * address.
 */
export function createClient(options: ClientOptions, log: Log): KafkaClient {
  return new ClusterClient(options, log);
}
