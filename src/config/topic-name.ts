/** Kafka's rule for topic names (`org.apache.kafka.common.internals.Topic`), checked before any connection. */
import { LogagentError } from "../errors.ts";

/** What is wrong with the name, or null. */
export function topicNameProblem(name: string): string | null {
  if (name === "") return "a topic name must not be empty";
  if (name === "." || name === "..") return `a topic cannot be named "${name}"`;
  if (name.length > 249) return `a topic name has at most 249 characters; this one has ${name.length}`;
  const wrong = /[^a-zA-Z0-9._-]/u.exec(name);
  return wrong ? `a topic name may hold only letters, digits, ".", "_" and "-"; "${name}" holds "${wrong[0]}"` : null;
}

/** Returns the name; throws LogagentError USAGE. */
export function checkTopicName(name: string): string {
  const problem = topicNameProblem(name);
  if (problem) throw new LogagentError("USAGE", problem);
  return name;
}
