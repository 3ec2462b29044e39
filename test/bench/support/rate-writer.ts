/**
 * Appends numbered lines at a steady rate until its standard input ends, one write per line as loggers do; prints how
 * many it wrote. `rate-writer.ts PATH LINES_PER_SECOND`
 */
import { closeSync, openSync, writeSync } from "node:fs";

const [path = "", rate = "1000"] = process.argv.slice(2);
const fd = openSync(path, "a");
const begin = performance.now();
let written = 0;
const timer = setInterval(() => {
  // Behind by more than a tenth of a second it does not catch up: the rate is the most it writes.
  const due = Math.min(((performance.now() - begin) * Number(rate)) / 1000, written + Number(rate) / 10);
  while (written < due) writeSync(fd, `line ${written++} ${"x".repeat(80)}\n`);
}, 1);

process.stdin.resume();
process.stdin.on("end", () => {
  clearInterval(timer);
  closeSync(fd);
  process.stdout.write(`${written}\n`);
});
