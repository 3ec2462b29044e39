import { expect, test } from "bun:test";
import { join } from "node:path";
import { mountTraits } from "../../src/tail/mounts.ts";
import { inside } from "../../src/tail/siblings.ts";

test("a relative path lies where the absolute one does", () => {
  for (const path of ["app.log", "./app.log", "logs/app.log", "../app.log", inside("."), inside("logs")])
    expect([path, mountTraits(path)]).toEqual([path, mountTraits(join(process.cwd(), path))]);
});
