/** What a test file needs before it can run, told by what it imports. */
import { type Import, reachedFrom } from "./imports.ts";

export interface Needs {
  /** The shared Kafka node. A file that starts nodes of its own does not need it. */
  kafka: boolean;
  /** The compiled program. */
  binary: boolean;
}

const kafka = { path: "test/kafka/broker.ts", names: ["sharedKafka"] };
const binary = { path: "test/support/process.ts", names: ["binary", "logagent", "startLogagent"] };

/** `file`: path from the repository's root. */
export function needsOf(file: string): Needs {
  const imports = [...reachedFrom(file).values()].flat();
  return { kafka: uses(imports, kafka), binary: uses(imports, binary) };
}

function uses(imports: readonly Import[], of: { path: string; names: readonly string[] }): boolean {
  const own = imports.filter(({ path }) => path === of.path);
  return own.some(({ names }) => names.includes("*") || of.names.some((name) => names.split(/\W+/).includes(name)));
}
