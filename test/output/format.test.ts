import { describe, expect, test } from "bun:test";
import { Writable } from "node:stream";
import { RecordSetReader } from "../../src/kafka/record/record-set-reader.ts";
import { OutputBuffer } from "../../src/output/buffer.ts";
import { compileFilter } from "../../src/output/filter.ts";
import { compileFormat } from "../../src/output/format.ts";
import { formatTable } from "../../src/output/table.ts";
import { encodeBatch } from "../kafka/batches.ts";

const records = [
  {
    key: Buffer.from("k1"),
    value: Buffer.from([0xff, 0x00, 0x41]),
    headers: [
      { name: Buffer.from("trace"), value: Buffer.from("abc") },
      { name: Buffer.from("trace"), value: null },
    ],
    timestamp: 1_700_000_000_123,
  },
  { key: null, value: Buffer.from("plain äö"), headers: [], timestamp: 1_700_000_000_124 },
];

function block() {
  const bytes = encodeBatch({ baseOffset: 4_294_967_296, records });
  const reader = new RecordSetReader(bytes, {
    topic: "t",
    partition: 12,
    from: 0,
    to: Number.POSITIVE_INFINITY,
    aborted: null,
  });
  const found = reader.next();
  if (!found) throw new Error("no block");
  return found;
}

function collect() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      // As a pipe would: the bytes are taken only when the write is reported done.
      setImmediate(() => {
        chunks.push(Buffer.from(chunk));
        done();
      });
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString("latin1") };
}

async function print(format: string): Promise<string> {
  const { stream, text } = collect();
  const out = new OutputBuffer(stream);
  const write = compileFormat(format);
  const found = block();
  for (let i = 0; i < found.count; i++) write(out, found, i, i + 1);
  await out.end();
  return text();
}

const latin1 = (text: string) => Buffer.from(text).toString("latin1");

describe("verbs", () => {
  const cases: [format: string, output: string][] = [
    ["%v\\n", `\xff\x00A\n${latin1("plain äö\n")}`],
    ["%t %p %o %k|", "t 12 4294967296 k1|t 12 4294967297 |"],
    ["%i %K %V %H %e;", "1 2 3 2 0;2 -1 10 0 0;"],
    ["%T ", "1700000000123 1700000000124 "],
    ["%T{iso},%d{unix} ", "2023-11-14T22:13:20.123Z,1700000000 2023-11-14T22:13:20.124Z,1700000000 "],
    ["%v{hex}.", "ff0041.706c61696e20c3a4c3b6."],
    ["%v{base64} %k{base64}.", "/wBB azE=.cGxhaW4gw6TDtg== ."],
    ["%k{json}.", '"k1"..'],
    ["[%h]", "[trace=abc,trace=][]"],
    ["%h{%k{hex}:%v %V\\n}", "7472616365:abc 3\n7472616365: -1\n"],
    ["%p{big16}%p{hex8}%p{little32}", "\x00\x0c0c\x0c\x00\x00\x00".repeat(2)],
    ["%% %{ %} \\t\\x41\\\\\\0", "% { } \tA\\\0".repeat(2)],
    ["", ""],
  ];
  for (const [format, output] of cases)
    test(JSON.stringify(format), async () => expect(await print(format)).toBe(output));

  const refused: [string, RegExp][] = [
    ["%", /ends with a single %/],
    ["%q", /%q is unknown/],
    ["%v{hex", /brace at character 3 is not closed/],
    ["%v{nope}", /\{nope\} is unknown here/],
    ["%o{base64}", /\{base64\} is unknown here/],
    ["\\q", /\\q is unknown/],
    ["%h{%o}", /inside %h/],
  ];
  for (const [format, message] of refused) {
    test(`${format} is refused`, () => expect(() => compileFormat(format)).toThrow(message));
  }
});

test("the output buffer keeps order and bytes with a slow reader and parallel flushes", async () => {
  const { stream, text } = collect();
  const out = new OutputBuffer(stream);
  let expected = "";
  const flushes: Promise<void>[] = [];
  for (let i = 0; i < 3000; i++) {
    const piece = `${i}:${"x".repeat(i % 900)};`;
    out.text(piece);
    expected += piece;
    if (i % 100 === 0) flushes.push(out.flush(), out.flush());
    if (i % 500 === 0) await Promise.all(flushes);
  }
  await out.end();
  expect(text()).toBe(expected);
});

test("integers of every size", async () => {
  for (const value of [0, 9, 10, 99, 2_147_483_647, 2_147_483_648, 9_007_199_254_740_991, -1]) {
    const { stream, text } = collect();
    const out = new OutputBuffer(stream);
    out.integer(value);
    await out.end();
    expect(text()).toBe(String(value));
  }
});

describe("filters", () => {
  const passed = (key: string[], value: string[], header: string[]) => {
    const filter = compileFilter({ key, value, header });
    const found = block();
    return filter === null ? null : [0, 1].filter((i) => filter(found, i));
  };
  test("none is null", () => expect(passed([], [], [])).toBeNull());
  test("key; a null key matches nothing", () => expect(passed(["."], [], [])).toEqual([0]));
  test("value as UTF-8 text", () => expect(passed([], ["ä.$"], [])).toEqual([1]));
  test("several must all match", () => expect(passed([], ["plain", "nope"], [])).toEqual([]));
  test("header by name and by value", () => {
    expect(passed([], [], ["trace"])).toEqual([0]);
    expect(passed([], [], ["trace=^abc$"])).toEqual([0]);
    expect(passed([], [], ["trace=x"])).toEqual([]);
  });
  test("a broken pattern is a usage error", () => expect(() => passed([], ["("], [])).toThrow(/--filter-value "\("/));
});

test("tables align, numbers to the right, control characters harmless", () => {
  const rows = [
    ["a\nb", 5],
    ["topic", 1234],
    ["x", null],
  ] as const;
  // An escape says which character it was; the replacement character that stood here did not.
  expect(formatTable(["NAME", "LAG"], rows)).toBe("NAME    LAG\na\\nb      5\ntopic  1234\nx         -\n");
  expect(formatTable(["NAME"], [])).toBe("NAME\n");
});
