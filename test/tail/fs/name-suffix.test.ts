import { expect, test } from "bun:test";
import fc from "fast-check";
import { rootName, strictRootName } from "../../../src/tail/fs/rotated-names.ts";

// The rule as expressions: exponential on some names, right on short ones.
const suffix = /(?:~|[._-](?:\d[\dT:._+Z-]*|old|bak|prev|backup|save|copy|orig))+$/;
const infix = /(?:[._-](?:\d[\dT:._+Z-]*|old|bak|prev|backup|save|copy|orig))(?=\.[A-Za-z][A-Za-z0-9]{0,7}$)/;
const strict = /(?:\.\d+|\.(?:old|bak|prev)|[._-]\d{4}[-._]?\d\d[\dTZ:._+-]*)+$/;
const strictInfix = /[._-]\d{4}[-._]?\d\d[\d:T._+-]*(?=\.[A-Za-z][A-Za-z0-9]{0,7}$)/;

const pieces = [
  "a",
  "b",
  "1",
  "2026",
  "01",
  "T",
  "Z",
  ":",
  "+",
  ".",
  "_",
  "-",
  "~",
  "old",
  "bak",
  "prev",
  "backup",
  "log",
];
const name = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 9 }).map((list) => list.join(""));

test("names lose what rotation gave them, as the expressions say", () => {
  fc.assert(
    fc.property(name, (plain) => {
      const root = plain.replace(suffix, "") || plain;
      expect(rootName(plain)).toBe(root.replace(infix, "") || root);
      const strictRoot = plain.replace(strict, "") || plain;
      expect(strictRootName(plain)).toBe(strictRoot.replace(strictInfix, "") || strictRoot);
    }),
    { numRuns: 20_000 },
  );
});

test("a name of 255 bytes that fits almost everywhere costs one pass", () => {
  // With a repeated group this name takes longer than the universe has left; here it ends at all.
  for (const unit of ["-1", ".1", "_2026", "-2026-01", ".1.old", "~-1"]) {
    const hostile = `${`a${unit.repeat(200)}`.slice(0, 250)}x.log`;
    for (let i = 0; i < 1000; i++) expect(rootName(hostile).length + strictRootName(hostile).length).toBeGreaterThan(0);
  }
});
