import { expect, test } from "bun:test";
import { parse } from "yaml";
import { render } from "../../src/output/data.ts";

const odd = [
  "on",
  "no",
  "y",
  "1_000",
  "2024-01-01",
  "017",
  "0o17",
  "1:30",
  "0x1f",
  "~",
  "null",
  "true",
  ".5",
  "1e3",
  "",
];

test.each(["1.1", "1.2"] as const)("every name in YAML reads back as text by YAML %s", async (version) => {
  for (const extra of ["plain", "\u001b[31m"]) {
    const value = [...odd, extra].map((topic) => ({ topic, partition: 0 }));
    const text = await render("yaml", { value, table: () => "", names: [] });
    expect(parse(text, { version })).toEqual(value);
  }
});
