/** `logagent topics …` */
import { defineGroup } from "./define.ts";

export default defineGroup({
  name: "topics",
  description: "List, describe, create, alter and delete topics.",
  subCommands: {
    list: { description: "List the topics of the cluster", load: () => import("./topics/list.ts") },
    describe: {
      description: "Partitions, replicas, offsets, sizes, configuration",
      load: () => import("./topics/describe.ts"),
    },
    create: { description: "Create topics", load: () => import("./topics/create.ts") },
    alter: { description: "Change configurations, add partitions", load: () => import("./topics/alter.ts") },
    delete: { description: "Delete topics", load: () => import("./topics/delete.ts") },
    offsets: { description: "First and next offsets, offsets of a time", load: () => import("./topics/offsets.ts") },
  },
});
