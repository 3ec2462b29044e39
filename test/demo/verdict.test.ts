import { expect, test } from "bun:test";
import { compare } from "./verdict.ts";

const clean = { lost: 0, duplicated: 0, foreign: 0, reordered: 0 };

test("equal lines in order are clean, also lines that occur twice", () => {
  expect(compare(["a", "b", "a"], ["a", "b", "a"])).toEqual({ written: 3, received: 3, ...clean });
});

test("lost, duplicated, foreign and reordered lines are counted", () => {
  expect(compare(["a", "b", "c"], ["a", "c"])).toMatchObject({ ...clean, lost: 1 });
  expect(compare(["a", "b"], ["a", "b", "a"])).toMatchObject({ ...clean, duplicated: 1 });
  expect(compare(["a"], ["a", "x"])).toMatchObject({ ...clean, foreign: 1 });
  expect(compare(["a", "b", "c"], ["a", "c", "b"])).toMatchObject({ ...clean, reordered: 1 });
});
