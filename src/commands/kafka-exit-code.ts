/** Error codes of Kafka in the words and exit codes of the command line. */
import { exitCodes } from "../errors.ts";
import { codes, errorInfo } from "../kafka/protocol/errors.ts";

const unauthorized: readonly number[] = [
  codes.TOPIC_AUTHORIZATION_FAILED,
  codes.GROUP_AUTHORIZATION_FAILED,
  codes.CLUSTER_AUTHORIZATION_FAILED,
  codes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
];

/** 77 for missing rights and failed logins, 69 for every other refusal. */
export function kafkaExitCode(code: number): number {
  if (unauthorized.includes(code)) return exitCodes.AUTHORIZATION;
  return code === codes.SASL_AUTHENTICATION_FAILED ? exitCodes.AUTHENTICATION : exitCodes.BROKER_REFUSED;
}

/** `no such topic (UNKNOWN_TOPIC_OR_PARTITION)`; the broker's own text where ours would say less. */
export function kafkaFailure(code: number, message?: string | null): string {
  const { name } = errorInfo(code);
  const own: Record<string, string> = {
    UNKNOWN_TOPIC_OR_PARTITION: "no such topic",
    TOPIC_ALREADY_EXISTS: "it exists already",
    TOPIC_AUTHORIZATION_FAILED: "not authorized for this topic",
    GROUP_AUTHORIZATION_FAILED: "not authorized for this group",
    CLUSTER_AUTHORIZATION_FAILED: "not authorized for this cluster",
    GROUP_ID_NOT_FOUND: "no such group",
    NON_EMPTY_GROUP: "the group has members; stop them first",
    UNKNOWN_MEMBER_ID: "the group has members; stop them first",
    TOPIC_DELETION_DISABLED: "the brokers do not allow to delete topics",
  };
  return `${own[name] ?? message ?? "refused"} (${name})`;
}
