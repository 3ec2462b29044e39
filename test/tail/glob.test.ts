import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { foundBy, pathMatcher } from "../../src/tail/discovery/glob.ts";
import { Discovery } from "../../src/tail/discovery/walk.ts";
import { nodeFs } from "../../src/tail/fs/fs.ts";

function scan(files: string[], patterns: string[], exclude: string[] = [], links: [string, string][] = []): string[] {
  const dir = mkdtempSync(join(tmpdir(), "logagent-glob-"));
  try {
    for (const file of files) {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), "");
    }
    for (const [target, name] of links) symlinkSync(join(dir, target), join(dir, name));
    const discovery = new Discovery(
      nodeFs,
      patterns.map((p) => join(dir, p)),
      exclude.map((p) => (p.includes("/") ? join(dir, p) : p)),
    );
    const result = discovery.scan(
      {
        known: () => false,
        trouble(path, error) {
          throw new Error(path, { cause: error });
        },
        now: Date.now(),
        unlearned: 0,
        rests: () => false,
        refused(path, reason) {
          throw new Error(`${path}: ${reason}`);
        },
      },
      () => {},
      () => Promise.resolve(),
    );
    const found = [...new Set(result.found.map(({ path }) => path.slice(dir.length + 1)))];
    for (const path of found) expect(discovery.matches(join(dir, path))).toBe(true);
    return found.sort();
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const files = ["a.log", "b.log", "b.txt", ".hidden.log", "sub/c.log", "sub/deep/d.log", "sub/deep/e1.log", "x/c.log"];

test("stars, question marks, classes and braces match within a name", () => {
  expect(scan(files, ["*.log"])).toEqual(["a.log", "b.log"]);
  expect(scan(files, ["?.{log,txt}"])).toEqual(["a.log", "b.log", "b.txt"]);
  expect(scan(files, ["[!a].log"])).toEqual(["b.log"]);
  expect(scan(files, [".h*.log"])).toEqual([".hidden.log"]);
  expect(scan(files, ["{sub,x}/c.log"])).toEqual(["sub/c.log", "x/c.log"]);
  expect(scan(files, ["sub/*/?[0-9].log"])).toEqual(["sub/deep/e1.log"]);
});

test("two stars match any depth, none included, and each file once", () => {
  expect(scan(files, ["**/*.log"])).toEqual([
    "a.log",
    "b.log",
    "sub/c.log",
    "sub/deep/d.log",
    "sub/deep/e1.log",
    "x/c.log",
  ]);
  expect(scan(files, ["**/deep/**/*.log"])).toEqual(["sub/deep/d.log", "sub/deep/e1.log"]);
  expect(scan(files, ["sub/**", "sub/*.log"])).toEqual(["sub/c.log", "sub/deep/d.log", "sub/deep/e1.log"]);
});

test("names that begin with a dot are matched by a dot only, below two stars as by one", () => {
  const hidden = [...files, "sub/.d/f.log", "sub/.e.log"];
  for (const pattern of ["**", "**/*", "**/**"])
    expect(scan(hidden, [pattern])).toEqual(scan(files.slice(0, 3).concat(files.slice(4)), [pattern]));
  expect(scan(hidden, ["sub/**"])).toEqual(["sub/c.log", "sub/deep/d.log", "sub/deep/e1.log"]);
  expect(scan(hidden, ["**/.*"])).toEqual([".hidden.log", "sub/.e.log"]);
});

test("a name with brackets or braces that exists is that file; with a star it is a pattern all the same", () => {
  const odd = ["we[ird].log", "wei.log", "{a,b}.txt", "a.txt", "s*.log", "sx.log"];
  expect(scan(odd, ["we[ird].log"])).toEqual(["we[ird].log"]);
  expect(scan(odd, ["{a,b}.txt"])).toEqual(["{a,b}.txt"]);
  expect(scan(odd.slice(1), ["we[ird].log"])).toEqual(["wei.log"]);
  expect(scan(odd, ["s*.log"])).toEqual(["s*.log", "sx.log"]);
});

test("excludes prune by name and by path", () => {
  expect(scan(files, ["**/*.log"], ["b*", "sub/deep/**"])).toEqual(["a.log", "sub/c.log", "x/c.log"]);
  expect(scan(files, ["**/*.log"], ["sub"])).toEqual(["a.log", "b.log", "x/c.log"]);
});

test("symbolic links are followed, loops are not", () => {
  expect(scan(["real/a.log"], ["**/*.log"], [], [[".", "real/loop"]])).toEqual(["real/a.log"]);
  expect(scan(["real/a.log"], ["now.log"], [], [["real/a.log", "now.log"]])).toEqual(["now.log"]);
  expect(scan(["real/a.log"], ["link/*.log"], [], [["real", "link"]])).toEqual(["link/a.log"]);
});

test("whole paths match as a walk would find them", () => {
  const matches = foundBy(["/var/log/**/*.log", "/srv/{a,b}/x"]);
  expect(["/var/log/a.log", "/var/log/a/b/c.log", "/srv/b/x"].every(matches)).toBe(true);
  expect(["/var/log/.a.log", "/var/log/.d/a.log", "/var/log/a.txt", "/srv/c/x"].some(matches)).toBe(false);
  expect(pathMatcher(["*.gz"])("/var/log/a.gz")).toBe(true);
});
