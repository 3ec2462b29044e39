import { describe, expect, test } from "bun:test";
import { nearest } from "../../src/config/suggest.ts";
import { parseTemplate } from "../../src/config/template.ts";
import { topicNameProblem } from "../../src/config/topic-name.ts";

describe("topic names", () => {
  test.each(["a", "web_log", "A.b-c_9", "...", "x".repeat(249)])("%s is one", (name) => {
    expect(topicNameProblem(name)).toBeNull();
  });

  test.each(["", ".", "..", "a b", "a/b", "ü", "a\n", "x".repeat(250)])("%p is none", (name) => {
    expect(topicNameProblem(name)).toBeString();
  });
});

describe("templates", () => {
  test("are text and fields", () => {
    expect(parseTemplate("web-{file}:{offset}")).toEqual(["web-", { field: "file" }, ":", { field: "offset" }]);
    expect(parseTemplate("{{x}}")).toEqual(["{x}"]);
    expect(parseTemplate("")).toEqual([""]);
  });

  test.each([
    ["{pth}", "Did you mean {path}?"],
    ["{}", "unknown field {}"],
    ["a{", "stray {"],
    ["a}", "stray }"],
  ])("%p is refused", (text, message) => expect(() => parseTemplate(text)).toThrow(message));
});

test("suggestions are near or absent", () => {
  const names = ["topic", "brokers", "log-level", "from"];
  expect(["topci", "broker", "loglevel", "form", "fron"].map((name) => nearest(name, names))).toEqual([
    "topic",
    "brokers",
    "log-level",
    "from",
    "from",
  ]);
  expect(nearest("zzzzzz", names)).toBeUndefined();
});
