/** CLOCK_MONOTONIC, the same in every process of the machine: Bun's own clocks count from each process's start. */
import { dlopen, ptr } from "bun:ffi";
import { existsSync } from "node:fs";

const CLOCK_MONOTONIC = 1;
const timespec = new BigInt64Array(2);
const address = ptr(timespec);
const musl = ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"].find((path) => existsSync(path));
const libc = dlopen(musl ?? "libc.so.6", { clock_gettime: { args: ["int", "ptr"], returns: "int" } });

/** Microseconds since the machine started. */
export function monotonicMicros(): number {
  libc.symbols.clock_gettime(CLOCK_MONOTONIC, address);
  return Number(timespec[0]) * 1e6 + Number(timespec[1]) / 1e3;
}
