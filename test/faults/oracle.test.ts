import { expect, test } from "bun:test";
import { makeLine } from "../support/lines.ts";
import { Oracle } from "./oracle.ts";

function judge(records: [partition: number, value: string][], written: Record<string, number>) {
  const oracle = new Oracle();
  for (const [partition, value] of records) oracle.add(partition, value);
  const { examples: _, repeatedPerMark: _marks, ...finding } = oracle.judge(new Map(Object.entries(written)));
  return finding;
}

const line = (number: number, partition = 0, file = "a"): [number, string] => [partition, makeLine(file, number)];
const clean = { lost: 0, repeated: 0, damaged: 0, unwritten: 0, reordered: 0 };

test("everything once and in order is clean, over several partitions", () => {
  expect(judge([line(1), line(3, 1), line(2), line(1, 0, "b")], { a: 3, b: 1 })).toEqual({ ...clean, received: 4 });
});

test("each fault is told apart", () => {
  expect(judge([line(1), line(4)], { a: 5, b: 2 })).toEqual({ ...clean, received: 2, lost: 5 });
  expect(judge([line(1), line(2), line(1)], { a: 2 })).toEqual({ ...clean, received: 3, repeated: 1 });
  expect(judge([line(2), line(1)], { a: 2 })).toEqual({ ...clean, received: 2, reordered: 1 });
  expect(judge([line(1), line(2)], { a: 1 })).toEqual({ ...clean, received: 2, unwritten: 1 });
  expect(judge([[0, makeLine("a", 1).slice(0, -1)]], { a: 1 })).toEqual({ ...clean, received: 1, damaged: 1, lost: 1 });
});

test("repeats are counted to the moment before which their lines were written", () => {
  const oracle = new Oracle();
  for (const [partition, value] of [line(1), line(2), line(2), line(3), line(3), line(3)]) oracle.add(partition, value);
  const marks = [2, 2, 3].map((written) => new Map([["a", written]]));
  expect(oracle.judge(new Map([["a", 3]]), marks).repeatedPerMark).toEqual([1, 0, 2]);
});
