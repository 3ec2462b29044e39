/** The planted bugs still fit the sources; whether they are caught is for `mutants.ts`, which takes long. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/process.ts";
import { mutants, mutated } from "./mutants.ts";

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s", (_, mutant) => {
  expect(mutated(mutant)).not.toBe(readFileSync(join(root, mutant.file), "utf8"));
  expect(existsSync(join(root, "test", mutant.campaign[0]))).toBe(true);
});
