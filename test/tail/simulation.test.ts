/**
 * Random actions against a model. A failing case prints its seed and path; run it again with LOGAGENT_SIM_SEED (and
 * LOGAGENT_SIM_PATH for the shrunk case). LOGAGENT_SIM_SEEDS sets how many cases run: 2,000 of one seed, in a full campaign 100,000
 * of a seed by chance.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Judgement } from "../../src/tail/files/decisions.ts";
import { type Action, Model, type World } from "./model.ts";
import { planted } from "./planted.ts";
import { realDisk } from "./real-disk.ts";

const actions: fc.WeightedArbitrary<Action>[] = [
  { weight: 10, arbitrary: fc.record({ do: fc.constant("write" as const), lines: fc.integer({ min: 1, max: 30 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("tick" as const), ms: fc.constantFrom(1, 5, 15, 100, 1500, 70_000) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("steps" as const), n: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("settle" as const), share: fc.constantFrom(0.1, 0.5, 1) }) },
  { weight: 4, arbitrary: fc.constant<Action>({ do: "checkpoint" }) },
  { weight: 2, arbitrary: fc.constant<Action>({ do: "partial" }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("rename" as const), create: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("copytruncate" as const), regrow: fc.constantFrom(0, 1, 40) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("truncate" as const), regrow: fc.constantFrom(0, 1, 40) }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "delete" }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("recreate" as const), lines: fc.integer({ min: 1, max: 40 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("renameOver" as const), lines: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("compress" as const), zstd: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "renumber" }) },
  { weight: 2, arbitrary: fc.constant<Action>({ do: "stop" }) },
  { weight: 2, arbitrary: fc.constant<Action>({ do: "kill" }) },
  { weight: 5, arbitrary: fc.constant<Action>({ do: "start" }) },
];

/**
 * Only where a planted defect is looked for: what a save of less than 1 KiB may repeat when it is rotated or the agent stops
 * right behind it, the model does not know well enough to tell a repeat that is allowed from a fault.
 */
const save: fc.WeightedArbitrary<Action> = {
  weight: 2,
  arbitrary: fc.record({ do: fc.constant("save" as const), lines: fc.integer({ min: 1, max: 20 }) }),
};

const world: fc.Arbitrary<World> = fc.record({
  wide: fc.boolean(),
  header: fc.boolean(),
  padding: fc.constantFrom(0, 30, 400),
  maxOpenFiles: fc.constantFrom(1, 2, 100),
  identity: fc.constantFrom("birth", "birth", "inode", "none"),
});

const casesOf = (some: fc.WeightedArbitrary<Action>[]) =>
  fc.tuple(world, fc.array(fc.oneof(...some), { minLength: 5, maxLength: 50, size: "max" }));
const cases = casesOf(actions);
const casesWithSaves = casesOf([...actions, save]);

const full = process.env.LOGAGENT_CAMPAIGN === "full";
/** The short form is the same on every machine; other seeds are for campaigns. */
const seed = process.env.LOGAGENT_SIM_SEED ?? (full ? undefined : "20261126");

async function check(runs: number, judgement?: Partial<Judgement>): Promise<fc.RunDetails<[[World, Action[]]]>> {
  return await fc.check(
    fc.asyncProperty(judgement === undefined ? cases : casesWithSaves, async ([world, actions]) => {
      const model = new Model(world, judgement);
      await model.run(actions);
      if (model.problems.length > 0)
        throw new Error(`${model.problems.slice(0, 5).join("\n")}\n${model.trace.slice(-120).join("\n")}`);
    }),
    {
      numRuns: runs,
      endOnFailure: judgement !== undefined,
      ...(seed ? { seed: Number(seed) } : {}),
      ...(process.env.LOGAGENT_SIM_PATH ? { path: process.env.LOGAGENT_SIM_PATH } : {}),
    },
  );
}

test("random rotations, stops and kills against a model: nothing reachable is lost, nothing comes twice after a clean stop", async () => {
  const runs = Number(process.env.LOGAGENT_SIM_SEEDS ?? (full ? 100_000 : 2000));
  const result = await check(runs);
  if (result.failed)
    throw new Error(
      `seed ${result.seed}, path ${result.counterexamplePath}: ${JSON.stringify(result.counterexample)}\n${String((result.errorInstance as Error)?.message)}`,
    );
  // A path into the shrunk cases is one case.
  expect(result.numRuns).toBe(process.env.LOGAGENT_SIM_PATH?.includes(":") ? 1 : runs);
}, 3_600_000);

test("the same over the real file system", async () => {
  const runs = Number(process.env.LOGAGENT_SIM_REAL_SEEDS ?? (full ? 1000 : 100));
  const result = await fc.check(
    fc.asyncProperty(
      world,
      fc.array(fc.oneof(...actions), { minLength: 5, maxLength: 30, size: "max" }),
      async (world, actions) => {
        const disk = realDisk();
        try {
          const model = new Model(world, {}, () => disk);
          await model.run(actions);
          if (model.problems.length > 0)
            throw new Error(`${model.problems.slice(0, 5).join("\n")}\n${model.trace.slice(-120).join("\n")}`);
        } finally {
          disk.remove();
        }
      },
    ),
    {
      numRuns: runs,
      interruptAfterTimeLimit: 1_800_000,
      ...(seed ? { seed: Number(seed) } : {}),
    },
  );
  if (result.failed)
    throw new Error(
      `seed ${result.seed}, path ${result.counterexamplePath}: ${JSON.stringify(result.counterexample)}\n${String((result.errorInstance as Error)?.message)}`,
    );
  expect(result.numRuns).toBe(runs);
}, 2_000_000);

// Each defect must be found by the same oracle, or the simulation is decoration.
for (const [defect, judgement] of Object.entries(planted)) {
  test(`the simulation finds the planted defect: ${defect}`, async () => {
    const result = await check(1500, judgement);
    expect(result.failed).toBe(true);
  }, 120_000);
}
