/** How long `logagent --version` takes, beside kcat and the smallest Bun program: medians of alternating runs. */
import { parseArgs } from "node:util";
import { binary } from "../support/process.ts";
import { hasTool } from "../support/tools.ts";
import { machine } from "./support/machine.ts";
import { measure } from "./support/meter.ts";
import { median, millis, table } from "./support/table.ts";

const { values } = parseArgs({ options: { runs: { type: "string", default: "30" } } });

const programs: [name: string, command: string[], budget: string][] = [
  ["logagent --version", [binary(), "--version"], "≤ 15 ms"],
  ["logagent tail --help", [binary(), "tail", "--help"], ""],
  ["bun -e 0", [process.execPath, "-e", "0"], ""],
];
if (hasTool("kcat")) programs.push(["kcat -V", ["kcat", "-V"], ""]);

const results = new Map(programs.map(([name]) => [name, { wall: [] as number[], cpu: [] as number[] }]));
for (let i = 0; i < Number(values.runs); i++) {
  for (const [name, command] of programs) {
    const { wall, cpu } = await measure(command);
    const result = results.get(name)!;
    result.wall.push(wall * 1000);
    result.cpu.push(cpu * 1000);
  }
}

console.log(`${machine(binary())}\nmedians of ${values.runs} alternating runs\n`);
const rows = programs.map(([name, , budget]) => {
  const { wall, cpu } = results.get(name)!;
  return [name, millis(median(wall)), millis(Math.min(...wall)), millis(median(cpu)), budget];
});
console.log(table(["program", "wall ms", "best ms", "CPU ms", "budget"], rows));
