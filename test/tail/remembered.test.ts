/** What is kept of files that are gone, in case they come back. */
import { expect, test } from "bun:test";
import { FollowedFile } from "../../src/tail/file.ts";
import { Marks } from "../../src/tail/marks.ts";
import { Registry } from "../../src/tail/registry.ts";

const mark = (to: number) => ({ to, bytes: Buffer.from(`before ${to}`) });

test("marks are the same packed, and go on", () => {
  const [packed, plain] = [new Marks(), new Marks()];
  const plainly = (marks: Marks) => marks.list.map(({ to, bytes }) => [to, Buffer.from(bytes).toString()]);
  for (let to = 10; to < 400; to += 10) {
    packed.keep(mark(to), to);
    plain.keep(mark(to), to);
    packed.pack();
    expect(packed.count).toBe(plain.count);
    expect(plainly(packed)).toEqual(plainly(plain));
  }
  expect(plain.count).toBe(12);
  expect(plain.list.at(-1)!.to).toBe(390);
});

test("of many files that are done with the last 2,000 are remembered, of others all for a day", () => {
  const registry = new Registry();
  const make = (n: number, done: boolean) => {
    const identity = { dev: 1, ino: BigInt(n), birth: 1n };
    const path = `/log/app.log.${n}`;
    const file = new FollowedFile({ id: n, key: `key${n}`, input: "i", path, identity, position: 0, line: 1 });
    file.attached = false;
    file.gone = true;
    file.done = done;
    file.lastLook = n;
    registry.add(file);
    return file;
  };
  for (let n = 1; n <= 2100; n++) make(n, true);
  const waiting = Array.from({ length: 50 }, (_, i) => make(3000 + i, false));
  registry.forgetBefore(0);
  expect(registry.files.size).toBe(2050);
  expect(Math.min(...registry.files.keys())).toBe(101);
  expect(waiting.every(({ id }) => registry.files.has(id))).toBe(true);
  expect(registry.forgotten.length).toBe(100);
  registry.forgetBefore(2000);
  expect(registry.files.size).toBe(151);
});
