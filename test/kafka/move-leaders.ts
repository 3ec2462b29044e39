/**
 * Moves leaders as an operator does: the order of the replicas is changed (AlterPartitionReassignments, KIP-455), then
 * the now preferred ones are elected (ElectLeaders, KIP-460). Coordinators move with the leaders of internal topics.
 */
import { waitFor } from "../support/wait.ts";
import { metadata, request } from "./request.ts";

interface Move {
  topic: string;
  partition: number;
  replicas: number[];
}

/** Gives each partition of every topic, internal ones too, another leader; returns how many leaders changed. */
export async function moveLeaders(address: string): Promise<number> {
  const { topics } = await metadata(address, null);
  const moves = topics.flatMap(({ name, partitions }) =>
    partitions
      .filter(({ replicas }) => replicas.length > 1)
      .map(({ id, leader, replicas }) => ({ topic: name, partition: id, replicas: leaderLast(replicas, leader) })),
  );
  await reassign(address, moves);
  await waitFor(
    "the leaders moved",
    async () => {
      await electPreferred(address, moves);
      const now = await leaders(address);
      return moves.every(({ topic, partition, replicas }) => now.get(`${topic}-${partition}`) === replicas[0]);
    },
    { timeout: 60_000, every: 200 },
  );
  return moves.length;
}

/** The replicas turned so that another than the leader comes first. */
function leaderLast(replicas: readonly number[], leader: number): number[] {
  const at = Math.max(0, replicas.indexOf(leader));
  return [...replicas.slice(at + 1), ...replicas.slice(0, at + 1)];
}

async function leaders(address: string): Promise<Map<string, number>> {
  const { topics } = await metadata(address, null);
  return new Map(topics.flatMap(({ name, partitions }) => partitions.map((p) => [`${name}-${p.id}`, p.leader])));
}

/** AlterPartitionReassignments v0. */
async function reassign(address: string, moves: readonly Move[]): Promise<void> {
  const problems = await request(address, {
    key: 45,
    version: 0,
    flexible: true,
    timeout: 30_000,
    body(writer) {
      writer.int32(20_000);
      writer.compactArray(moves, ({ topic, partition, replicas }) => {
        writer.compactString(topic);
        writer.compactArray([partition], (id) => {
          writer.int32(id).compactArray(replicas, (replica) => writer.int32(replica));
          writer.noTags();
        });
        writer.noTags();
      });
      writer.noTags();
    },
    parse(reader) {
      reader.int32();
      const whole = { partition: "all", code: reader.int16(), message: reader.compactNullableString() };
      const each = reader.compactArray(() => {
        const topic = reader.compactString();
        const partitions = reader.compactArray(() => {
          const partition = `${topic}-${reader.int32()}`;
          const found = { partition, code: reader.int16(), message: reader.compactNullableString() };
          reader.skipTags();
          return found;
        });
        reader.skipTags();
        return partitions;
      });
      return [whole, ...each.flat()].filter(({ code }) => code !== 0);
    },
  });
  if (problems.length > 0) throw new Error(`reassigning partitions: ${JSON.stringify(problems)}`);
}

/** ElectLeaders v1, preferred. Not an error: 84 (needed no election), 80 (the preferred one is not in sync). */
async function electPreferred(address: string, moves: readonly Move[]): Promise<void> {
  const code = await request(address, {
    key: 43,
    version: 1,
    timeout: 30_000,
    body(writer) {
      writer.int8(0);
      writer.array(moves, ({ topic, partition }) => {
        writer.string(topic).array([partition], (id) => writer.int32(id));
      });
      writer.int32(20_000);
    },
    parse(reader) {
      reader.int32();
      return reader.int16();
    },
  });
  if (code !== 0) throw new Error(`electing preferred leaders: error ${code}`);
}
