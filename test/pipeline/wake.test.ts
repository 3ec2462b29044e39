import { expect, test } from "bun:test";
import { Wake } from "../../src/pipeline/wakeup.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** A bell, the time in milliseconds, and whether a sleep has ended. */
function makeWake() {
  const clock = new ManualClock();
  const wake = new Wake(clock);
  const pass = async (ms: number) => {
    clock.advance(ms);
    await Promise.resolve();
  };
  const sleep = (ms: number, atLeast?: number) => {
    const state = { over: false };
    wake.sleep(ms, atLeast).then(() => {
      state.over = true;
    });
    return state;
  };
  return { wake, pass, sleep, clock };
}

test("a sleep ends after its time, or when the bell rings", async () => {
  const { wake, pass, sleep, clock } = makeWake();
  const first = sleep(10);
  await pass(9);
  expect(first.over).toBe(false);
  await pass(1);
  expect(first.over).toBe(true);
  const second = sleep(Number.POSITIVE_INFINITY);
  wake.ring();
  await pass(0);
  expect(second.over).toBe(true);
  expect(clock.pending).toBe(0);
});

test("a bell rung while nobody sleeps ends the next sleep only", async () => {
  const { wake, pass, sleep } = makeWake();
  wake.ring();
  const first = sleep(10);
  await pass(0);
  expect(first.over).toBe(true);
  const second = sleep(10);
  await pass(0);
  expect(second.over).toBe(false);
});

test("no bell ends a sleep before its least time; one that rang meanwhile ends it then", async () => {
  for (const when of ["before", "during"] as const) {
    const { wake, pass, sleep, clock } = makeWake();
    if (when === "before") wake.ring();
    const state = sleep(100, 5);
    await pass(2);
    if (when === "during") for (let i = 0; i < 3; i++) wake.ring();
    await pass(2);
    expect(state.over).toBe(false);
    expect(clock.pending).toBe(1);
    await pass(1);
    expect(state.over).toBe(true);
    const next = sleep(100);
    await pass(50);
    expect(next.over).toBe(false);
  }
});

test("after the least time the bell ends the sleep at once", async () => {
  const { wake, pass, sleep } = makeWake();
  const state = sleep(100, 5);
  await pass(20);
  wake.ring();
  await pass(0);
  expect(state.over).toBe(true);
});
