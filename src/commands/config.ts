/** `logagent config …` */
import { defineGroup } from "./define.ts";

export default defineGroup({
  name: "config",
  description: "Print an example config file, what a file comes to, or its JSON Schema.",
  subCommands: {
    init: { description: "Print a commented example", load: () => import("./config/init.ts") },
    show: { description: "Print what a file and the environment come to", load: () => import("./config/show.ts") },
    schema: { description: "Print a JSON Schema for editors", load: () => import("./config/schema.ts") },
  },
});
