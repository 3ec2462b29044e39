/** Lines of a web server's log, all of one length and all different, the same in every run. */
import { closeSync, openSync, writeSync } from "node:fs";

const methods = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const paths = [
  "/",
  "/index.html",
  "/api/v1/orders",
  "/api/v1/orders/items",
  "/static/app.js",
  "/login",
  "/search?q=",
  "/health",
];
const agents = [
  "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0",
  "curl/8.5.0",
  "Go-http-client/2.0",
];
const filler = "-".repeat(4096);

/** Line `number` (from 0) without its newline, exactly `length` bytes (at least 120). */
export function logLine(number: number, length: number): string {
  // A small generator seeded by the number: lines look alike, as logs do, but none is like another.
  let seed = Math.imul(number + 1, 0x9e3779b1) >>> 0;
  const next = (bound: number) => {
    seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
    return (seed >>> 8) % bound;
  };
  const time = `${String(10 + (Math.floor(number / 3_600_000) % 14))}:${two(Math.floor(number / 60_000) % 60)}:${two(Math.floor(number / 1000) % 60)}`;
  const text =
    `10.${next(256)}.${next(256)}.${next(256)} - - [21/Nov/2026:${time} +0000] ` +
    `"${methods[next(6)]} ${paths[next(8)]}${number} HTTP/1.1" ${next(20) === 0 ? 500 : 200} ${next(100_000)} ` +
    `"-" "${agents[next(4)]}" `;
  return (text + filler).slice(0, length);
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

/** Writes `count` lines with newlines; `length` is that of the line without its newline. */
export function writeLines(path: string, count: number, length = 200): void {
  const fd = openSync(path, "w");
  try {
    for (let from = 0; from < count; from += 10_000) {
      let text = "";
      for (let i = from; i < Math.min(count, from + 10_000); i++) text += `${logLine(i, length)}\n`;
      writeSync(fd, text, null, "latin1");
    }
  } finally {
    closeSync(fd);
  }
}
