/** `logagent groups …` */
import { defineGroup } from "./define.ts";

export default defineGroup({
  name: "groups",
  description: "List, describe, reset and delete consumer groups.",
  subCommands: {
    list: { description: "List the groups of the cluster", load: () => import("./groups/list.ts") },
    describe: { description: "Members, committed offsets and lag", load: () => import("./groups/describe.ts") },
    reset: { description: "Move committed offsets", load: () => import("./groups/reset.ts") },
    delete: { description: "Delete groups and their offsets", load: () => import("./groups/delete.ts") },
  },
});
