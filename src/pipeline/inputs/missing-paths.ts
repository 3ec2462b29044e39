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
    const empty = [...tailer.files()].length === 0;
    const exists = new Set<string>();
    for (const path of paths) if (hasMagic(path) && (await kindOf(path)) !== "missing") exists.add(path);
    const globs = paths.filter((path) => isPattern(path, (one) => exists.has(one)));
    const absent: { text: string; directory: boolean }[] = [];
    for (const path of paths) {
      if (globs.includes(path)) continue;
      const kind = await kindOf(path);
      if (kind === "directory") {
        const text = `${path} is a directory; name its files, for example ${path.replace(/\/+$/, "")}/*.log`;
        absent.push({ text, directory: true });
      } else if (kind === "missing") absent.push({ text: `no file matches ${path}`, directory: false });
    }
    if (empty) for (const glob of globs) absent.push({ text: `no file matches ${glob}`, directory: false });
    if (how.mustExist && absent.length > 0) {
      const { text } = absent[0] as { text: string };
      throw new LogagentError("FILE_IO", `following the input "${config.name}" failed: ${text}; --must-exist is given`);
    }
    for (const { text, directory } of absent) {
      if (how.once) log.warn(`nothing to send: ${text}`);
      else if (directory) log.warn(text);
      else log.info(`${text} yet`);
    }
  }
}

async function kindOf(path: string): Promise<"directory" | "missing" | "other"> {
  try {
    return (await stat(encodePath(path))).isDirectory() ? "directory" : "other";
  } catch (error) {
    // Anything else than "not there" is told by the tailer.
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT" || code === "ENOTDIR" ? "missing" : "other";
  }
}
