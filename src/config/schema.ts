/** The config file as a valibot schema and as JSON Schema (draft 7), both made from the flags of `tail`. */
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { fieldSchema } from "./field-schema.ts";
import { agentSection, connectionSection, fileKey, producerSection } from "./file.ts";
import type { Flag, Flags } from "./flag.ts";
import { inputFlags } from "./input-flags.ts";

/** Which flag a schema was made from: what only JSON Schema says of it (units, choices) comes from there. */
const flagOf = new WeakMap<object, Flag>();

function entries(flags: Flags) {
  const fields = Object.entries(flags).map(([key, flag]) => {
    const field = key === "header" ? headerSchema() : fieldSchema(flag);
    if (key !== "header") flagOf.set(innermost(field), flag);
    return [fileKey(key), v.nullish(field)] as const;
  });
  return Object.fromEntries(fields);
}

/** The schema that a pipe begins with: the one the conversion asks about. */
function innermost(schema: object): object {
  const first = "pipe" in schema ? (schema.pipe as readonly object[])[0] : undefined;
  return first === undefined || first === schema ? schema : innermost(first);
}

function headerSchema(): v.GenericSchema<unknown, unknown> {
  return v.union([v.record(v.string(), v.string()), v.array(v.string()), v.string()]);
}

/** Schema of the whole file. Problems that need more than one key (`acks` with exactly-once) are not its business. */
export function configSchema() {
  const paths = v.union([
    v.pipe(v.string(), v.minLength(1)),
    v.pipe(v.array(v.pipe(v.string(), v.minLength(1))), v.minLength(1)),
  ]);
  const input = v.union([paths, v.strictObject({ paths, ...entries(inputFlags) })]);
  return v.strictObject({
    connection: v.nullish(v.strictObject(entries(connectionSection))),
    producer: v.nullish(v.strictObject(entries(producerSection))),
    ...entries(agentSection),
    defaults: v.nullish(v.strictObject(entries(inputFlags))),
    inputs: v.record(v.string(), input),
  });
}

/** For editors: completion, descriptions and a red line under what cannot be. */
export function configJsonSchema(): JsonSchema {
  const schema = toJsonSchema(configSchema(), {
    typeMode: "input",
    errorMode: "ignore",
    overrideSchema: ({ valibotSchema }) => {
      const flag = flagOf.get(valibotSchema);
      return flag === undefined ? undefined : flagJsonSchema(flag);
    },
  });
  return { ...schema, title: "logagent.yaml", description: "Configuration of logagent tail" };
}

/** Numbers that YAML reads where a text is meant: `from: -100`, `create_topic: 16`. */
const bareNumbers = new Set(["beginning|end|+BYTES|-BYTES", "PARTITIONS[:REPLICATION]"]);

function flagJsonSchema(flag: Flag): JsonSchema {
  const { description, default: standard } = flag;
  const shown = {
    description,
    ...(standard === undefined || flag.type === "duration" || flag.type === "size" ? {} : { default: standard }),
  };
  if (flag.multiple) return { ...shown, anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] };
  switch (flag.type) {
    case "string":
      return { ...shown, type: bareNumbers.has(flag.value ?? "") ? ["string", "integer"] : "string" };
    case "boolean":
      return { ...shown, type: "boolean" };
    case "choice":
      return {
        ...shown,
        enum: flag.options!.flatMap((option) => (/^\d+$/.test(option) ? [option, Number(option)] : [option])),
      };
    case "integer":
      return { ...shown, type: "integer", ...range(flag) };
    case "duration":
      return {
        ...shown,
        anyOf: [{ type: "string", pattern: "^\\s*\\d+(\\.\\d+)?\\s*[A-Za-z]+\\s*$|^0$|\\$\\{" }, { const: 0 }],
      };
    case "size":
      return {
        ...shown,
        anyOf: [
          { type: "string", pattern: "^\\s*\\d+(\\.\\d+)?\\s*[A-Za-z]*\\s*$|\\$\\{" },
          { type: "integer", minimum: 0 },
        ],
      };
  }
}

function range({ min, max }: Flag): JsonSchema {
  return { ...(min === undefined ? {} : { minimum: min }), ...(max === undefined ? {} : { maximum: max }) };
}
