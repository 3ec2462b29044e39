/**
 * A process of its own: `latency-writer.ts PATH RATE [LENGTH]` appends lines `<monotonic µs> <number> …` one write each,
 * at random distances around 1/RATE so that they do not fall into step with anybody's polling. Ends with its stdin and
 * prints how many it wrote.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { monotonicMicros } from "./clock.ts";

const [path = "", rate = "100", length = "200"] = process.argv.slice(2);
const distance = 1e6 / Number(rate);
const line = Buffer.alloc(Number(length) + 1, "x");
line[line.length - 1] = 10;
const fd = openSync(path, "a");

let written = 0;
let due = monotonicMicros();
let ended = false;

function tick(): void {
  if (ended) return;
  for (let now = monotonicMicros(); due <= now; now = monotonicMicros()) {
    line.write(`${now.toFixed(0)} ${written++} `, 0, "latin1");
    writeSync(fd, line);
    due += distance * (0.5 + Math.random());
  }
  setTimeout(tick, Math.max(0, Math.floor((due - monotonicMicros()) / 1000)));
}

process.stdin.resume();
process.stdin.once("end", () => {
  ended = true;
  closeSync(fd);
  process.stdout.write(`${JSON.stringify({ written })}\n`);
});
tick();
