/** Consumer groups: listing, members, committed offsets, deleting. Protocol guide: ListGroups, DescribeGroups, OffsetFetch, … */
import type { ApiRequest, KafkaClient } from "../cluster/client.ts";
import { atCoordinator } from "../cluster/coordinator.ts";
import type { TopicPartition } from "../cluster/list-offsets.ts";
import { errorInfo, throwOnError } from "../protocol/errors.ts";
import { decodeAssignment, noMember, offsetCommit } from "../protocol/groups.ts";
import { errorAfterThrottle, theOne } from "../protocol/wire.ts";

export interface ListedGroup {
  group: string;
  protocolType: string;
  /** Stable, Empty, PreparingRebalance, CompletingRebalance, Dead, … */
  state: string;
}

export interface GroupMember {
  memberId: string;
  clientId: string;
  host: string;
  partitions: TopicPartition[];
}

export interface GroupDescription {
  group: string;
  state: string;
  protocol: string;
  /** Node id. */
  coordinator: number;
  members: GroupMember[];
}

export interface CommittedOffset extends TopicPartition {
  offset: number;
  metadata: string | null;
}

/** ListGroups v4, or of older brokers 0 to 3, which do not say the state (then ""), asked of every broker. Sorted by name. */
export async function listGroups(client: KafkaClient): Promise<ListedGroup[]> {
  const { brokers } = await client.metadata([]);
  const answers = await Promise.all(brokers.map(({ nodeId }) => client.send(nodeId, listGroupsRequest())));
  for (const { errorCode } of answers) throwOnError(errorCode, "listing groups");
  const byName = new Map(answers.flatMap(({ groups }) => groups).map((group) => [group.group, group]));
  return [...byName.values()].sort((a, b) => (a.group < b.group ? -1 : 1));
}

/** DescribeGroups v4 or older; groups of the newer protocol (KIP-848) by ConsumerGroupDescribe v0. Throws KafkaError. */
export async function describeGroup(client: KafkaClient, group: string): Promise<GroupDescription> {
  const classic = await atCoordinator(
    client,
    group,
    `describing group "${group}"`,
    describeRequest(group),
    (d) => d.errorCode,
  );
  if (classic.state !== "Dead") return classic;
  try {
    return await atCoordinator(
      client,
      group,
      `describing group "${group}"`,
      describe848Request(group),
      (d) => d.errorCode,
    );
  } catch {
    // Neither protocol knows it (or the broker is older than KIP-848): it is what DescribeGroups calls Dead.
    return classic;
  }
}

/** OffsetFetch v5, or of older brokers 2 to 4, of everything the group has committed. */
export async function committedOffsets(client: KafkaClient, group: string): Promise<CommittedOffset[]> {
  const answer = await atCoordinator(
    client,
    group,
    `reading the offsets of group "${group}"`,
    offsetFetchAll(group),
    (a) => a.errorCode,
  );
  for (const { topic, partition, errorCode } of answer.offsets) {
    throwOnError(errorCode, `reading the offset of ${topic}/${partition} of group "${group}"`);
  }
  return answer.offsets.filter(({ offset }) => offset >= 0);
}

/** Commits without being a member: the group must be empty. Results per partition. */
export async function commitOffsets(
  client: KafkaClient,
  group: string,
  offsets: readonly (TopicPartition & { offset: number })[],
): Promise<(TopicPartition & { errorCode: number })[]> {
  const request = offsetCommit(noMember(group), offsets);
  return atCoordinator(client, group, `committing offsets of group "${group}"`, request, (results) => {
    return results.find(({ errorCode }) => errorInfo(errorCode).refreshCoordinator)?.errorCode ?? 0;
  });
}

/** DeleteGroups v1, or 0, whose fields are the same. Throws KafkaError. */
export async function deleteGroup(client: KafkaClient, group: string): Promise<void> {
  const request: ApiRequest<number> = {
    name: "DeleteGroups",
    key: 42,
    version: 1,
    older: (latest) => ({ ...request, version: latest }),
    body: (w) => w.array([group], (name) => w.string(name)),
    parse(r) {
      r.int32();
      return theOne(r.array(() => [r.string(), r.int16()] as const))[1];
    },
  };
  await atCoordinator(client, group, `deleting group "${group}"`, request, (code) => code);
}

function listGroupsRequest(version = 4): ApiRequest<{ errorCode: number; groups: ListedGroup[] }> {
  const flexible = version >= 3;
  return {
    name: "ListGroups",
    key: 16,
    version,
    flexible,
    older: listGroupsRequest,
    body(w) {
      if (version >= 4) w.compactArray([], () => {});
      if (flexible) w.noTags();
    },
    parse(r) {
      const errorCode = version >= 1 ? errorAfterThrottle(r) : r.int16();
      const string = () => (flexible ? r.compactString() : r.string());
      const group = () => {
        const listed = { group: string(), protocolType: string(), state: version >= 4 ? string() : "" };
        if (flexible) r.skipTags();
        return listed;
      };
      return { errorCode, groups: flexible ? r.compactArray(group) : r.array(group) };
    },
  };
}

/** Version 4, or of older brokers 0 to 3. */
function describeRequest(group: string, version = 4): ApiRequest<GroupDescription & { errorCode: number }> {
  return {
    name: "DescribeGroups",
    key: 15,
    version,
    older: (latest) => describeRequest(group, latest),
    body(w) {
      w.array([group], (name) => w.string(name));
      if (version >= 3) w.boolean(false);
    },
    parse(r) {
      if (version >= 1) r.int32();
      const found = r.array(() => {
        const errorCode = r.int16();
        const name = r.string();
        const state = r.string();
        r.string();
        const protocol = r.string();
        const members = r.array((): GroupMember => {
          const memberId = r.string();
          if (version >= 4) r.nullableString();
          const clientId = r.string();
          const host = r.string();
          r.nullableBytes();
          return { memberId, clientId, host, partitions: decodeAssignment(r.nullableBytes()) };
        });
        if (version >= 3) r.int32();
        return { errorCode, group: name, state, protocol, coordinator: -1, members };
      });
      return theOne(found);
    },
  };
}

function describe848Request(group: string): ApiRequest<GroupDescription & { errorCode: number }> {
  return {
    name: "ConsumerGroupDescribe",
    key: 69,
    version: 0,
    since: "3.7",
    flexible: true,
    body: (w) =>
      w
        .compactArray([group], (name) => w.compactString(name))
        .boolean(false)
        .noTags(),
    parse(r) {
      const partitions = () => {
        const list = r.compactArray(() => {
          r.uuid();
          const topic = r.compactString();
          const items = r.compactArray(() => ({ topic, partition: r.int32() }));
          r.skipTags();
          return items;
        });
        r.skipTags();
        return list.flat();
      };
      r.int32();
      const found = r.compactArray(() => {
        const errorCode = r.int16();
        r.compactNullableString();
        const name = r.compactString();
        const state = r.compactString();
        r.int32();
        r.int32();
        const protocol = r.compactString();
        const members = r.compactArray((): GroupMember => {
          const memberId = r.compactString();
          r.compactNullableString();
          r.compactNullableString();
          r.int32();
          const clientId = r.compactString();
          const host = r.compactString();
          r.compactArray(() => r.compactString());
          r.compactNullableString();
          const assigned = partitions();
          partitions();
          r.skipTags();
          return { memberId, clientId, host, partitions: assigned };
        });
        r.int32();
        r.skipTags();
        return { errorCode, group: name, state, protocol, coordinator: -1, members };
      });
      return theOne(found);
    },
  };
}

function offsetFetchAll(
  group: string,
  version = 5,
): ApiRequest<{ errorCode: number; offsets: (CommittedOffset & { errorCode: number })[] }> {
  return {
    name: "OffsetFetch",
    key: 9,
    version,
    older: (latest) => (latest < 2 ? null : offsetFetchAll(group, latest)),
    since: "0.11",
    body: (w) => w.string(group).array(null, () => {}),
    parse(r) {
      if (version >= 3) r.int32();
      const offsets = r.array(() => {
        const topic = r.string();
        return r.array(() => {
          const partition = r.int32();
          const offset = r.number64();
          if (version >= 5) r.int32();
          return { topic, partition, offset, metadata: r.nullableString(), errorCode: r.int16() };
        });
      });
      return { errorCode: r.int16(), offsets: offsets.flat() };
    },
  };
}
