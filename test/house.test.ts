/**
 * The house keeps its order: who may import whom (the tables stand in src/README.md), where text for people leaves the
 * program, and that no page or comment names what is not here.
 */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { debts, knownCircles } from "./house/debts.ts";
import { arrowsAgainst, circles, parseOrder } from "./house/order.ts";
import { importsOf, readSource, sourceFiles } from "./support/imports.ts";

const root = join(import.meta.dirname, "..");
const sources = sourceFiles("src");
const imports = new Map(sources.map((file) => [file, importsOf(file).map(({ path }) => path)]));

describe("the order of the rooms", () => {
  const orders = [...readSource("src/README.md").matchAll(/^```rooms (\S+)\n([\s\S]*?)```/gm)].map(([, folder, text]) =>
    parseOrder(folder!, text!),
  );

  test("is told for the whole house, for kafka and for tail", () => {
    expect(orders.map(({ folder }) => folder)).toEqual(["src", "src/kafka", "src/tail"]);
  });

  test("holds every room and no other", () => {
    for (const { folder, layers } of orders) {
      const named = layers.flat().sort();
      const there = new Set(
        sources
          .filter((file) => file.startsWith(`${folder}/`))
          .map((file) => file.split("/")[folder.split("/").length]!.replace(/\.ts$/, "")),
      );
      expect([folder, named]).toEqual([folder, [...there].sort()]);
    }
  });

  test("is kept: no arrow against it but the debts of today", () => {
    const against = orders.flatMap((order) => arrowsAgainst(order, imports));
    const known = new Set(debts);
    const added = against.filter(({ arrow }) => !known.has(arrow));
    // Sentences, because this is what somebody reads who has just added an import.
    expect(added.map(({ sentence }) => sentence)).toEqual([]);
    const paid = debts.filter((debt) => !against.some(({ arrow }) => arrow === debt));
    if (paid.length > 0) console.log(`paid, take them off test/house/debts.ts:\n${paid.join("\n")}`);
  });

  test("an arrow against it is told with a sentence", () => {
    const order = parseOrder("src", "main → kafka, tail → lines\n");
    const arrows = new Map([
      ["src/main.ts", ["src/kafka/a.ts"]],
      ["src/kafka/a.ts", ["src/kafka/b.ts", "src/lines.ts", "src/tail/b.ts"]],
      ["src/lines.ts", ["src/main.ts"]],
    ]);
    expect(arrowsAgainst(order, arrows).map(({ sentence }) => sentence)).toEqual([
      "src/kafka/a.ts imports src/tail/b.ts: kafka and tail stand side by side and must not know each other",
      "src/lines.ts imports src/main.ts: main stands above lines, and a room uses only what stands below it",
    ]);
  });

  test("no new circles of imports", () => {
    // An arrow against the order closes circles, and goes with them.
    const kept = [...imports].map(
      ([file, to]) => [file, to.filter((one) => !debts.includes(`${file} → ${one}`))] as const,
    );
    const found = circles(new Map(kept));
    const strange = found.filter(
      (circle) => !knownCircles.some((known) => circle.every((file) => known.includes(file))),
    );
    expect(strange.map((circle) => `these import each other in a circle: ${circle.join(", ")}`)).toEqual([]);
    expect(
      circles(
        new Map([
          ["a", ["b"]],
          ["b", ["c"]],
          ["c", ["a"]],
          ["d", ["a"]],
        ]),
      ),
    ).toEqual([["a", "b", "c"]]);
  });
});

describe("what must not be in a file", () => {
  const only = (pattern: RegExp, allowed: (file: string) => boolean) =>
    sources.filter((file) => pattern.test(readSource(file)) && !allowed(file));

  test("kafkajs is known to src/kafka/network alone", () => {
    expect(only(/["']kafkajs/, (file) => file.startsWith("src/kafka/network/"))).toEqual([]);
  });

  test("only main.ts ends the process", () => {
    expect(only(/process\.exit\(/, (file) => file === "src/main.ts")).toEqual([]);
  });

  test("stderr is written where printable() stands", () => {
    const places = ["src/main.ts", "src/observe/log.ts", "src/commands/run.ts", "src/commands/complain.ts"];
    expect(only(/stderr\.write|console\.(log|error|warn)\(/, (file) => places.includes(file))).toEqual([]);
    for (const file of places) expect(readSource(file)).toContain("printable(");
  });

  test("nothing of Bun's own, so that the sources run on Deno", () => {
    expect(only(/\bBun\.|["']bun[:"']/, () => false)).toEqual([]);
  });
});

describe("pages", () => {
  const page = (path: string) => ({ path, text: readSource(path) });
  const pages = ["README.md", "src/README.md", "test/README.md"].map(page);

  test.each(pages.map(({ path, text }) => [path, text] as const))("every path that %s names exists", (path, text) => {
    const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
    const named = [...text.matchAll(/`((?:[\w.-]+\/)*[\w.-]+(?:\.(?:ts|mjs|md|sh)|\/))`|\]\(([^)#:]+)\)/g)].map(
      ([, code, link]) => (code ?? link)!,
    );
    // A folder by its last name alone, `protocol/`, is one that lies somewhere in the house.
    const folders = [...sources, ...sourceFiles("test")];
    const isThere = (name: string) =>
      existsSync(join(root, folder, name)) ||
      existsSync(join(root, name)) ||
      (/^[\w-]+\/$/.test(name) && folders.some((file) => file.includes(`/${name}`)));
    const missing = named.filter((name) => !isThere(name));
    expect(missing).toEqual([]);
    if (path !== "README.md") expect(named.length).toBeGreaterThan(10);
  });

  test("README leads to both pages for contributors", () => {
    for (const link of ["src/README.md", "test/README.md"]) expect(pages[0]!.text).toContain(`(${link})`);
  });

  test("every file that a comment names exists", () => {
    const all = [...sources, ...sourceFiles("test")];
    const missing = all.flatMap((file) =>
      [...readSource(file).matchAll(/`([\w./-]+\.ts)`/g)]
        .filter(([, name]) => !all.some((other) => other.endsWith(`/${name}`) || other === name))
        .map(([, name]) => `${file} names ${name}`),
    );
    expect(missing).toEqual([]);
  });

  test("no comment leads to a page that is not here", () => {
    const all = [...sources, ...sourceFiles("test")].filter((file) => file !== "test/house.test.ts");
    const strange = all.flatMap((file) =>
      [...readSource(file).matchAll(/\b(DESIGN|FACTS|HOUSE|PRIOR-ART)\b/g)].map(
        ([word]) => `${file} speaks of ${word}`,
      ),
    );
    expect(strange).toEqual([]);
  });
});
