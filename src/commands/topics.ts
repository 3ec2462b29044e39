/** `logagent topics …` */
import { defineGroup } from "./define.ts";

export default defineGroup({
  name: "topics",
  description: "List, describe, create, alter and delete topics.",
  subCommands: {
    list: { description: "List topics", load: () => import("./topics/list.ts") },
  },
});
