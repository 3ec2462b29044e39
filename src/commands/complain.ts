/** What a command has to say besides its data: one line on stderr that begins with the program's name. */
import { printable } from "../printable.ts";

export function complain(text: string): void {
  process.stderr.write(`logagent: ${printable(text)}\n`);
}
