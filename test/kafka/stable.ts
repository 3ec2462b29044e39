import type { KafkaClient } from "../../src/kafka/cluster/client.ts";
import { type ListedOffset, listOffsets } from "../../src/kafka/cluster/list-offsets.ts";
import { waitFor } from "../support/wait.ts";

/**
 * The ends for read-committed readers, once no transaction holds them back, at the latest after `patience` ms: EndTxn is
 * answered before its markers are written, so a reader that comes at once may still end before a committed transaction.
 */
export async function stableEnds(client: KafkaClient, topic: string, patience: number): Promise<ListedOffset[]> {
  const { topics } = await client.metadata([topic]);
  const partitions = (topics[0]?.partitions ?? []).map(({ partition }) => ({ topic, partition }));
  const ends = (isolation: "read-committed" | "read-uncommitted") =>
    listOffsets(client, partitions, "end", isolation, 30_000);
  let stable = await ends("read-committed");
  const settled = async () => {
    const all = await ends("read-uncommitted");
    stable = await ends("read-committed");
    return stable.every(({ offset }, i) => offset >= all[i]!.offset);
  };
  await waitFor("transactions to be settled", settled, { timeout: patience }).catch(() => {});
  return stable;
}
