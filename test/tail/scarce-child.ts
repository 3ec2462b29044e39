/** Follows 400 files with the few descriptors its parent left it; prints what arrived as JSON. Argument: the directory. */
import { join } from "node:path";
import { Follower } from "./follower.ts";

const directory = process.argv[2]!;
const follower = await Follower.start({ paths: [join(directory, "*.log")], from: "beginning", maxOpenFiles: 1000 });
await follower.lines(2000);
console.error("half"); // the parent appends to every file now
await follower.until(
  () => follower.seen.length >= 2400,
  () => `2400 lines, got ${follower.seen.length}`,
);
await follower.quiet(200);
console.log(
  JSON.stringify({
    seen: follower.seen,
    loud: follower.events.filter(({ level, name }) => level !== "debug" && name !== "file-found"),
  }),
);
process.exit(0);
