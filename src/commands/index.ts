/** The top level: every command with its one-line description, loaded only when it runs or its help is shown. */
import { defineGroup } from "./define.ts";

export default defineGroup({
  name: "logagent",
  description:
    "Follows log files and puts every line into Apache Kafka; a Kafka producer, consumer and topic tool besides.",
  subCommands: {
    tail: { description: "Follow files and send every line to a topic", load: () => import("./tail.ts") },
    produce: { description: "Send records from stdin, files or the command line", load: () => import("./produce.ts") },
    consume: { description: "Read records of topics", load: () => import("./consume.ts") },
    topics: { description: "List, describe, create, alter and delete topics", load: () => import("./topics.ts") },
    groups: { description: "Consumer groups: lag, reset, delete", load: () => import("./groups.ts") },
    check: { description: "Validate a config file", load: () => import("./check.ts") },
    config: { description: "Example, resolved form and schema of the config file", load: () => import("./config.ts") },
    status: { description: "Show position, size and lag of the followed files", load: () => import("./status.ts") },
    completion: { description: "Print shell completion", load: () => import("./completion.ts") },
  },
});
