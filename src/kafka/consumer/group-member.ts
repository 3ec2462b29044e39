/**
 * One member of a consumer group (classic protocol): joins, keeps its session alive, commits, leaves. All waiting for the
 * coordinator is retried here; what only a user can mend is thrown.
 */
import { backoff } from "../../backoff.ts";
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { sleep, systemClock } from "../../runtime.ts";
import type { ApiRequest, KafkaClient } from "../cluster/client.ts";
import { isTransient } from "../cluster/leaders.ts";
import type { TopicPartition } from "../cluster/list-offsets.ts";
import { codes, errorInfo, KafkaError } from "../protocol/errors.ts";
import {
  heartbeat,
  type Joined,
  joinGroup,
  leaveGroup,
  type Membership,
  noMember,
  offsetCommit,
  syncGroup,
} from "../protocol/groups.ts";
import { offsetFetch } from "../protocol/transactions.ts";
import { assignors, topicsOf } from "./assignors.ts";

export interface GroupOptions {
  group: string;
  instanceId: string | null;
  /** Milliseconds without a heartbeat after which the coordinator gives the partitions to others. */
  sessionTimeout: number;
  /** Milliseconds the members have to join again in a rebalance. */
  rebalanceTimeout: number;
  /** Milliseconds without a coordinator after which `join` gives up; Infinity: never. */
  timeout: number;
}

/** Milliseconds between heartbeats, also where a third of the session time-out is more: they tell of a rebalance. */
const longestBeat = 3000;

/** The member's place was given to others: what it read since its last commit, they read again. */
const lost: readonly number[] = [codes.UNKNOWN_MEMBER_ID, codes.ILLEGAL_GENERATION];

export class GroupMember {
  private readonly client: KafkaClient;
  private readonly options: GroupOptions;
  private readonly log: Log;
  private membership: Membership;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private onRebalance: (reason: string) => void = () => {};
  private onFatal: (error: Error) => void = () => {};
  private isLeader = false;
  /** True once it was a member. */
  hasJoined = false;

  constructor(client: KafkaClient, options: GroupOptions, log: Log) {
    this.client = client;
    this.options = options;
    this.log = log;
    this.membership = { ...noMember(options.group), instanceId: options.instanceId };
  }

  /**
   * True for the member that shares out the partitions and must look for new ones: that is joining again then. A static
   * member that comes back is not told that it leads the group (KIP-345, before KIP-814), so it looks in any case.
   */
  get looksForPartitions(): boolean {
    return this.isLeader || this.options.instanceId !== null;
  }

  /**
   * Joins and returns this member's partitions; from then on heartbeats go out. `onRebalance` is called, perhaps more
   * than once, when the member must commit and join again, `onFatal` when it cannot.
   */
  async join(
    topics: readonly string[],
    signal: AbortSignal,
    onRebalance: (reason: string) => void,
    onFatal: (error: Error) => void,
  ): Promise<TopicPartition[]> {
    this.stopHeartbeats();
    this.onRebalance = onRebalance;
    this.onFatal = onFatal;
    let failingSince = 0;
    for (let failures = 1; !signal.aborted; ) {
      try {
        const partitions = await this.tryJoin(topics);
        if (partitions !== null) {
          this.beatLater();
          return partitions;
        }
        failingSince = 0;
        continue;
      } catch (error) {
        if (!this.isMendable(error)) throw error;
        failingSince ||= performance.now();
        if (performance.now() - failingSince > this.options.timeout) throw error;
        this.log.debug(`joining group ${this.options.group}: ${(error as Error).message}; trying again`);
      }
      await sleep(systemClock, backoff(failures++, Math.random, 100, 2000), signal);
    }
    return [];
  }

  /** Null: once more at once, with what was learnt. */
  private async tryJoin(topics: readonly string[]): Promise<TopicPartition[] | null> {
    const { sessionTimeout, rebalanceTimeout } = this.options;
    const protocols = Object.keys(assignors);
    const request = joinGroup(this.membership, { topics, protocols, sessionTimeout, rebalanceTimeout });
    const joined = await this.send(request);
    if (joined.errorCode === codes.MEMBER_ID_REQUIRED) {
      this.membership = { ...this.membership, memberId: joined.memberId };
      return null;
    }
    this.check(joined.errorCode, "joining");
    this.membership = { ...this.membership, memberId: joined.memberId, generation: joined.generation };
    this.isLeader = joined.leader === joined.memberId;
    const assignments = this.isLeader ? await this.assign(joined) : new Map<string, TopicPartition[]>();
    const synced = await this.send(syncGroup(this.membership, assignments));
    if (synced.errorCode === codes.REBALANCE_IN_PROGRESS) return null;
    this.check(synced.errorCode, "joining");
    this.hasJoined = true;
    return synced.partitions;
  }

  private async assign({ members, protocol }: Joined): Promise<Map<string, TopicPartition[]>> {
    const topics = topicsOf(members);
    const metadata = await this.client.metadata(topics);
    const partitions = new Map(metadata.topics.map((topic) => [topic.name, topic.partitions.length]));
    const assignor = assignors[protocol];
    if (!assignor) throw new LogagentError("BUG", `sharing out partitions: the group chose the assignor "${protocol}"`);
    return assignor(members, partitions);
  }

  /** Committed offsets of these partitions, -1 where there is none. Waits for offsets of open transactions (KIP-447). */
  async committed(partitions: readonly TopicPartition[], signal: AbortSignal): Promise<Map<string, number>> {
    for (let failures = 1; ; failures++) {
      try {
        const { errorCode, offsets } = await this.send(offsetFetch(this.options.group, partitions, true));
        this.check(errorCode, "reading the committed offsets of");
        return new Map(offsets.map(({ topic, partition, offset }) => [`${topic}/${partition}`, Number(offset)]));
      } catch (error) {
        if (!this.isMendable(error) || signal.aborted) throw error;
        await sleep(systemClock, backoff(failures, Math.random), signal);
      }
    }
  }

  /** Returns false when the member's place is lost (another one reads on from the last commit). */
  async commit(offsets: readonly (TopicPartition & { offset: number })[]): Promise<boolean> {
    if (offsets.length === 0) return true;
    for (let attempt = 1; ; attempt++) {
      try {
        const results = await this.send(offsetCommit(this.membership, offsets));
        const errorCode = results.find(({ errorCode }) => errorCode !== 0)?.errorCode ?? 0;
        if (lost.includes(errorCode)) {
          this.log.warn("the group went on without this member; some records may be read twice", {
            group: this.options.group,
          });
          this.forget(errorCode);
          this.onRebalance("the member's place is lost");
          return false;
        }
        // Too late in the rebalance: whoever gets the partitions reads on from the commit before.
        if (errorCode === codes.REBALANCE_IN_PROGRESS) {
          this.onRebalance("a rebalance is in progress");
          return false;
        }
        this.check(errorCode, "committing offsets of");
        return true;
      } catch (error) {
        if (!this.isMendable(error) || attempt === 5) throw error;
        await sleep(systemClock, 100 * attempt);
      }
    }
  }

  /** Gives the partitions to the others at once; a static member keeps them until its session ends. */
  async leave(): Promise<void> {
    this.stopHeartbeats();
    if (this.membership.memberId === "" || this.membership.instanceId !== null) return;
    try {
      await this.send(leaveGroup(this.membership));
    } catch (error) {
      this.log.debug(`leaving group ${this.options.group}: ${(error as Error).message}`);
    }
  }

  private beatLater(): void {
    this.timer = setTimeout(() => void this.beat(), Math.min(longestBeat, this.options.sessionTimeout / 3));
  }

  private async beat(): Promise<void> {
    const { generation } = this.membership;
    try {
      const errorCode = await this.send({ ...heartbeat(this.membership), timeout: this.options.sessionTimeout });
      // `join` has begun meanwhile.
      if (this.timer === null || generation !== this.membership.generation) return;
      // Beating goes on meanwhile: a slow reader of our output must not cost the place in the group.
      if (errorCode === codes.REBALANCE_IN_PROGRESS) this.onRebalance("the group rebalances");
      else if (lost.includes(errorCode)) {
        this.forget(errorCode);
        this.stopHeartbeats();
        this.onRebalance("the coordinator does not know this member any more");
        return;
      } else this.check(errorCode, "keeping the session in");
    } catch (error) {
      if (this.timer === null) return;
      if (!this.isMendable(error)) {
        this.onFatal(error as Error);
        return;
      }
      this.log.debug(`heartbeat of group ${this.options.group}: ${(error as Error).message}`);
    }
    if (this.timer !== null) this.beatLater();
  }

  private stopHeartbeats(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private async send<T>(request: ApiRequest<T>): Promise<T> {
    try {
      const node = await this.client.coordinatorOf("group", this.options.group);
      return await this.client.send(node, request);
    } catch (error) {
      this.client.forgetCoordinator("group", this.options.group);
      throw error;
    }
  }

  private check(errorCode: number, action: string): void {
    if (errorCode === 0) return;
    const { group } = this.options;
    const error = new KafkaError(errorCode, `${action} group "${group}"`);
    if (errorInfo(errorCode).refreshCoordinator) this.client.forgetCoordinator("group", group);
    if (lost.includes(errorCode)) this.forget(errorCode);
    switch (errorCode) {
      case codes.GROUP_AUTHORIZATION_FAILED:
      case codes.TOPIC_AUTHORIZATION_FAILED:
        throw new LogagentError("AUTHORIZATION", `${action} group "${group}": the broker does not allow it`, error);
      case codes.INCONSISTENT_GROUP_PROTOCOL: {
        const known = Object.keys(assignors).join(" nor ");
        throw new LogagentError(
          "BROKER_REFUSED",
          `${action} group "${group}": its members share partitions by neither ${known}, or it is no consumer group`,
          error,
        );
      }
      case codes.INVALID_SESSION_TIMEOUT: {
        const text = `the broker does not allow a session time-out of ${this.options.sessionTimeout} ms (see group.min.session.timeout.ms, by default 6 s, and group.max.session.timeout.ms)`;
        throw new LogagentError("BROKER_REFUSED", `${action} group "${group}": ${text}`, error);
      }
      case codes.FENCED_INSTANCE_ID: {
        const { instanceId } = this.options;
        const text = `another member runs as "${instanceId}"; give each member an id of its own (--group-instance)`;
        throw new LogagentError("FENCED", `${action} group "${group}": ${text}`, error);
      }
      default:
        throw error;
    }
  }

  private forget(errorCode: number): void {
    const memberId = errorCode === codes.UNKNOWN_MEMBER_ID ? "" : this.membership.memberId;
    this.membership = { ...this.membership, memberId, generation: -1 };
  }

  private isMendable(error: unknown): boolean {
    if (isTransient(error)) return true;
    return error instanceof KafkaError && (lost.includes(error.code) || error.code === codes.REBALANCE_IN_PROGRESS);
  }
}
