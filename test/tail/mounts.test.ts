import { expect, test } from "bun:test";
import { join } from "node:path";
import { mountTraits } from "../../src/tail/fs/mounts.ts";
import { inside } from "../../src/tail/fs/rotated-names.ts";

test("a relative path lies where the absolute one does", () => {
  for (const path of ["app.log", "./app.log", "logs/app.log", "../app.log", inside("."), inside("logs")])
    expect([path, mountTraits(path)]).toEqual([path, mountTraits(join(process.cwd(), path))]);
});
