import { expect, test } from "bun:test";
import { BufferPool } from "../../src/kafka/record/buffer-pool.ts";

const [small, large] = [4 << 10, 1 << 20];

test("a buffer that was given is taken again, up to what may lie idle", () => {
  const pool = new BufferPool(large, 2 * large);
  const taken = Array.from({ length: 3 }, () => pool.take(large));
  for (const buffer of taken) pool.give(buffer);
  const again = Array.from({ length: 3 }, () => pool.take(large));
  expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(2);
  expect(pool.take(1).length).toBe(small);
  expect(pool.take(large + 1).length).toBe(large + 1);
});

test("what is not needed from one trim to the next is let go", () => {
  const pool = new BufferPool(large, 32 * large);
  const burst = Array.from({ length: 5 }, () => pool.take(large));
  for (const buffer of burst) pool.give(buffer);
  expect(pool.trim()).toBe(true);
  // Two of the five are in use at a time.
  for (let n = 0; n < 10; n++) for (const buffer of [pool.take(large), pool.take(large)]) pool.give(buffer);
  expect(pool.trim()).toBe(true);
  const kept = [pool.take(large), pool.take(large), pool.take(large)].map((buffer) => burst.includes(buffer));
  expect(kept).toEqual([true, true, false]);
  pool.give(burst[0] as Buffer);
  expect(pool.trim()).toBe(true);
  expect(pool.trim()).toBe(false);
  expect(burst.includes(pool.take(large))).toBe(false);
});
