/** The valibot schema of one key of the config file, made from the flag of the same name. */
import * as v from "valibot";
import type { Flag } from "./flag.ts";
import { nearest } from "./suggest.ts";
import { parseDuration, parseSize } from "./units.ts";

/** The parsed value has the type that `parseFlags` gives for the flag. */
export function fieldSchema(flag: Flag): v.GenericSchema<unknown, unknown> {
  if (flag.multiple) {
    const list = v.union([v.string(), v.array(v.string("must be text"))], "must be text or a list of texts");
    return v.pipe(
      list,
      v.transform((value) => (typeof value === "string" ? [value] : value)),
    );
  }
  switch (flag.type) {
    case "string":
      return v.string((issue) => `must be text, so put it in quotes; got ${issue.received}`);
    case "boolean":
      return v.boolean((issue) => `must be true or false; got ${issue.received}`);
    case "choice":
      return choice(flag.options!);
    case "integer":
      return v.pipe(
        v.number((issue) => `must be a whole number; got ${issue.received}`),
        v.integer((issue) => `must be a whole number; got ${issue.received}`),
        ...bounds(flag),
      );
    case "duration":
      return v.pipe(
        number(parseDuration, "a duration like 250ms or 10s", (n) => n === 0),
        ...bounds(flag),
      );
    case "size":
      return v.pipe(
        number(parseSize, "a size like 16MB or 1MiB", () => true),
        ...bounds(flag),
      );
  }
}

function choice(options: readonly string[]): v.GenericSchema<unknown, unknown> {
  const message = (value: unknown) => {
    const hint = nearest(String(value), options);
    return `must be one of ${options.join(", ")}; got ${JSON.stringify(value)}${hint ? `. Did you mean ${hint}?` : ""}`;
  };
  return v.pipe(
    v.union([v.string(), v.number()], (issue) => `must be one of ${options.join(", ")}; got ${issue.received}`),
    v.transform(String),
    v.check(
      (value) => options.includes(value),
      (issue) => message(issue.input),
    ),
  );
}

/** `bare`: which plain numbers need no unit. */
function number(parse: (text: string) => number, what: string, bare: (n: number) => boolean) {
  return v.pipe(
    v.union([v.string(), v.number()], (issue) => `must be ${what}; got ${issue.received}`),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { value } = dataset;
      if (typeof value === "number") {
        if (value >= 0 && bare(value)) return value;
        addIssue({ message: `must be ${what}; ${value} has no unit` });
        return NEVER;
      }
      try {
        return parse(value);
      } catch {
        addIssue({ message: `must be ${what}; got "${value}"` });
        return NEVER;
      }
    }),
  );
}

function bounds(flag: Flag): [v.CheckAction<number, string>, v.CheckAction<number, string>] {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = flag;
  return [
    v.check((n: number) => n >= min, `must be at least ${min}`),
    v.check((n: number) => n <= max, `must be at most ${max}`),
  ];
}
