import { stat } from "node:fs/promises";
import { LogagentError } from "../../errors.ts";
import type { Log } from "../../observe/log.ts";
import { encodePath } from "../../path-text.ts";
import { hasMagic, isPattern } from "../../tail/discovery/glob.ts";
import type { Input } from "./input.ts";

/**
 * Says which paths of the inputs name nothing that can be followed; with `mustExist` throws LogagentError FILE_IO for
 * the first. Asynchronous, since a file system may hang.
 */
export async function sayAbsent(
  inputs: readonly Pick<Input, "config" | "tailer">[],
  how: { once: boolean; mustExist: boolean },
  log: Log,
): Promise<void> {
  for (const { config, tailer } of inputs) {
    const { paths } = config.tail;
    const empty = [...tailer.files()].length === 0 && !tailer.leaves;
    const exists = new Set<string>();
    for (const path of paths) if (hasMagic(path) && (await kindOf(path)) !== "missing") exists.add(path);
    const globs = paths.filter((path) => isPattern(path, (one) => exists.has(one)));
    const absent: { text: string; there: boolean }[] = [];
    for (const path of paths) {
      if (globs.includes(path)) continue;
      const kind = await kindOf(path);
      if (kind === "directory") {
        const text = `${path} is a directory; name its files, for example ${path.replace(/\/+$/, "")}/*.log`;
        absent.push({ text, there: true });
      } else if (kind === "missing") absent.push({ text: `no file matches ${path}`, there: false });
      else if (kind !== "other") {
        absent.push({ text: `${path} is a ${kind}; only files and FIFOs are followed`, there: true });
      }
    }
    if (empty) for (const glob of globs) absent.push({ text: `no file matches ${glob}`, there: false });
    if (how.mustExist && absent.length > 0) {
      const { text } = absent[0] as { text: string };
      throw new LogagentError("FILE_IO", `following the input "${config.name}" failed: ${text}; --must-exist is given`);
    }
    for (const { text, there } of absent) {
      if (how.once) log.warn(`nothing to send: ${text}`);
      else if (there) log.warn(text);
      else log.info(`${text} yet`);
    }
  }
}

async function kindOf(path: string): Promise<"directory" | "socket" | "device" | "missing" | "other"> {
  try {
    const found = await stat(encodePath(path));
    if (found.isDirectory()) return "directory";
    if (found.isSocket()) return "socket";
    return found.isCharacterDevice() || found.isBlockDevice() ? "device" : "other";
  } catch (error) {
    // Anything else than "not there" is told by the tailer.
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "other";
  }
}
