/** How the group's leader shares out partitions, as Java's assignors of the same names do. */

import type { TopicPartition } from "../cluster/list-offsets.ts";
import type { Member } from "../protocol/groups.ts";

type Assignor = (members: readonly Member[], partitions: ReadonlyMap<string, number>) => Map<string, TopicPartition[]>;

/** Topic by topic: consecutive partitions, the first members get one more when they do not divide evenly. */
const range: Assignor = (members, partitions) => {
  const assigned = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]));
  for (const topic of topicsOf(members)) {
    const interested = members
      .filter(({ subscription }) => subscription.includes(topic))
      .map(({ memberId }) => memberId);
    interested.sort();
    const count = partitions.get(topic) ?? 0;
    const each = Math.floor(count / interested.length);
    const more = count % interested.length;
    let next = 0;
    interested.forEach((memberId, i) => {
      for (let left = each + (i < more ? 1 : 0); left > 0; left--) {
        assigned.get(memberId)?.push({ topic, partition: next++ });
      }
    });
  }
  return assigned;
};

/** All partitions of all topics in turn. */
const roundRobin: Assignor = (members, partitions) => {
  const assigned = new Map<string, TopicPartition[]>(members.map(({ memberId }) => [memberId, []]));
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  let turn = 0;
  for (const topic of topicsOf(members)) {
    for (let partition = 0; partition < (partitions.get(topic) ?? 0); partition++) {
      while (!sorted[turn % sorted.length]?.subscription.includes(topic)) turn++;
      assigned.get((sorted[turn++ % sorted.length] as Member).memberId)?.push({ topic, partition });
    }
  }
  return assigned;
};

/** The preferred one first. */
export const assignors: Readonly<Record<string, Assignor>> = { range, roundrobin: roundRobin };

/** Every topic that somebody subscribes to, sorted. */
export function topicsOf(members: readonly Member[]): string[] {
  return [...new Set(members.flatMap(({ subscription }) => subscription))].sort();
}
